"""What the derivative of the softmax does to attention (Section 4.1, Equation 2, Figure 6a).

The paper: s(1 - s) rises exponentially where z is large and is negligible where z is small, so high
attention gets higher and low attention lower. Two facts decide when this holds.

    d log[s(1 - s)] / dz = 1 - 2 s      the rate of growth: 1 (exponential) for s near 0, 0 at
                                        s = 1/2, -1 (exponential *fall*) for s near 1
    dL/dz_i = s_i (g_i - sum_j s_j g_j) with g = dL/ds: s sets the size of a step, but its sign is
                                        that of g_i against the attention-weighted mean of g
"""

from typing import Any

import numpy as np
import pandas as pd
import torch

from vzlib.experiments.softmax_gradient.settings import SoftmaxGradient
from vzlib.statistics import intervals
from vzlib.tokens import softmax_gradient, softmax_jacobian


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


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over images of every quantity, with its 95 % interval.

    rows: of `measure`. Columns: queries, layer, quantity, s, n (images), value, low, high, read.
    """
    keys = ["queries", "layer", "quantity", "s", "read"]
    of_images = ("value", "unit")
    found = [
        (*key, len(group), *intervals.mean_over(*(group[name].to_numpy() for name in of_images)))
        for key, group in rows.groupby(keys, sort=False, dropna=False)
    ]
    table = pd.DataFrame(found, columns=[*keys, "n", *intervals.Interval._fields])
    last = ["n", *intervals.Interval._fields, "read"]
    return table[["queries", "layer", "quantity", "s", *last]]


def selecting(rows: pd.DataFrame) -> str:
    """Whose attention rates the tokens: that of "cls" where there is one, else of "all"."""
    return "cls" if "cls" in set(rows["queries"]) else "all"


def read_block(rows: pd.DataFrame) -> int:
    """The block, from 1, whose output the language model reads."""
    return int(rows.loc[rows["read"], "layer"].iloc[0])


def conclusion(rows: pd.DataFrame) -> str:
    """When the paper's claim holds, with the numbers of the block that the language model reads.

    rows: of `summary`.
    """
    layer = read_block(rows)
    queries = selecting(rows)
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
