"""What the derivative of the softmax does to attention (Section 4.1, Equation 2, Figure 6a).

The paper: s(1 - s) rises exponentially where z is large and is negligible where z is small, so high
attention gets higher and low attention lower. Two facts decide when this holds.

    d log[s(1 - s)] / dz = 1 - 2 s      the rate of growth: 1 (exponential) for s near 0, 0 at
                                        s = 1/2, -1 (exponential *fall*) for s near 1
    dL/dz_i = s_i (g_i - sum_j s_j g_j) with g = dL/ds: s sets the size of a step, but its sign is
                                        that of g_i against the attention-weighted mean of g
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from vzlib import results, scenes
from vzlib.experiments.softmax_gradient.settings import SoftmaxGradient
from vzlib.models.checkpoint import identity
from vzlib.statistics.intervals import Interval, mean
from vzlib.tokens import softmax_gradient, softmax_jacobian

PEAK = 0.5  # attention at which s(1 - s) is largest
EDGES = np.linspace(-10, 0, 51)  # of log10(s), for the distributions


def theory(settings: SoftmaxGradient) -> pd.DataFrame:
    """One token's logit z moves while the n - 1 others stay at 0; no model takes part.

    Columns: length (n), z, s, gradient = s(1 - s), growth = d log(gradient) / dz by differences,
    row_norm = Euclidean norm of the token's row of the Jacobian, off_diagonal = its largest
    |-s_i s_j|.
    """
    frames = []
    for length in settings.lengths:
        z = torch.linspace(-6, np.log(max(length - 1, 1)) + 8, 241, dtype=torch.float64)
        logits = torch.zeros(len(z), length, dtype=torch.float64)
        logits[:, 0] = z
        gradient = softmax_gradient(logits)[:, 0]
        # Few logits at a time: the Jacobian of one softmax of 577 tokens holds 333 000 numbers.
        rows = torch.cat([softmax_jacobian(part)[:, 0] for part in logits.split(8)])
        frames.append(
            pd.DataFrame(
                {
                    "length": length,
                    "z": z,
                    "s": logits.softmax(-1)[:, 0],
                    "gradient": gradient,
                    "growth": np.gradient(gradient.log().numpy(), z.numpy()),
                    "row_norm": rows.norm(dim=1),
                    "off_diagonal": rows[:, 1:].abs().amax(1),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def measure(settings: SoftmaxGradient) -> pd.DataFrame:
    """Where the attention of a model's tower lies on the curve s(1 - s), from the store if known.

    The softmaxes are those of every head and query token of every test scene ("all"), and of the
    CLS query alone ("cls") where there is one.

    Columns: queries, layer (1 is the first block), quantity, s, n (scenes), value, low, high (95 %
    over scenes), read (whether the language model reads this block). Quantities, in percent:
    tokens_growing, mass_growing (of tokens and of attention at s < 1/2), mass_exponential (of
    attention at s <= settings.exponential), softmaxes_past_peak (with a token at s > 1/2; there can
    be only one), and the distributions tokens_at and mass_at over bins of log10(s) around the
    column s. Smaller s than 1e-10 count in the first bin.
    Raises ValueError for a model that there is not.
    """
    return results.compute(
        "softmax_gradient",
        {"scenes": settings.scenes, "exponential": settings.exponential},
        partial(_measure, settings.model),
        model_fingerprint=identity(settings.model),
        data_version=str(scenes.VERSION),
    )


def _measure(model: str, point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.experiments.attention_maps import loaded, maps_by_layer, pixels_of, tower_of
    from vzlib.models.tower_parts import depth_of, has_cls

    tower = tower_of(model)
    read = depth_of(tower, loaded(model).model.config.vision_feature_layer)
    found: dict[tuple[str, int, str, float | None], list[float]] = {}
    for index in tqdm(range(point["scenes"]), desc="scenes", unit="image"):
        pixels = pixels_of(model, scenes.make(index).image)
        for layer, heads in enumerate(maps_by_layer(tower, pixels), start=1):
            chosen = {"all": heads, "cls": heads[:, :, :1]} if has_cls(tower) else {"all": heads}
            for queries, attention in chosen.items():
                for quantity, s, value in _statistics(attention, point["exponential"]):
                    found.setdefault((queries, layer, quantity, s), []).append(value)
    rows = [(*key, len(values), *mean(np.array(values))) for key, values in found.items()]
    columns = ["queries", "layer", "quantity", "s", "n", *Interval._fields]
    table = pd.DataFrame(rows, columns=columns).astype({"s": float})
    return table.assign(read=table["layer"] == read)


def read_block(rows: pd.DataFrame) -> int:
    """The block, from 1, whose output the language model reads."""
    return int(rows.loc[rows["read"], "layer"].iloc[0])


def _statistics(attention: Tensor, exponential: float) -> Iterator[tuple[str, float | None, float]]:
    """(quantity, s or None, percent) of softmaxes [..., S]."""
    growing = attention < PEAK
    mass = attention.sum()
    yield "tokens_growing", None, 100 * float(growing.float().mean())
    yield "mass_growing", None, 100 * float(attention[growing].sum() / mass)
    small = attention <= exponential
    yield "mass_exponential", None, 100 * float(attention[small].sum() / mass)
    yield "softmaxes_past_peak", None, 100 * float((attention.amax(-1) > PEAK).float().mean())
    flat = attention.flatten()
    step = EDGES[1] - EDGES[0]
    bins = ((flat.clamp(min=1e-38).log10() - EDGES[0]) / step).long().clamp(0, len(EDGES) - 2)
    for quantity, weights in (("tokens_at", None), ("mass_at", flat)):
        counts = torch.bincount(bins, weights, minlength=len(EDGES) - 1).double()
        for left, share in zip(EDGES, 100 * counts / counts.sum(), strict=False):
            yield quantity, float(10 ** (left + step / 2)), float(share)


def verdict(rows: pd.DataFrame) -> str:
    """When the paper's claim holds, with the numbers of the block that the language model reads.

    rows: from `measure`.
    """
    layer = read_block(rows)
    queries = "cls" if "cls" in set(rows["queries"]) else "all"
    own = rows[(rows["layer"] == layer) & (rows["queries"] == queries)].set_index("quantity")
    text = {name: _percent(own.loc[name]) for name in own.index if not name.endswith("_at")}
    what = "CLS attention" if queries == "cls" else "attention"
    return (
        f"The claim holds as long as a token has a small share of its softmax: there the gradient "
        f"grows as exp(z). It stops growing at s = 1/2 and falls beyond, so the strongest are "
        f"slowed and not driven on. In block {layer}, {text['tokens_growing']} of the tokens and "
        f"{text['mass_growing']} of the {what} lie below 1/2, {text['mass_exponential']} of the "
        f"{what} where growth is still close to exponential; {text['softmaxes_past_peak']} of the "
        f"softmaxes have a token past the peak."
    )


def _percent(row: Any) -> str:
    return f"{row['value']:.1f} % [{row['low']:.1f}, {row['high']:.1f}]"
