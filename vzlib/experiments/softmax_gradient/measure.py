"""Where the attention of a model lies on the curve s(1 - s) (Section 4.1, Eq. 2, Figure 6a)."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from vzlib import results
from vzlib.evaluation import pictures
from vzlib.experiments.softmax_gradient.settings import SoftmaxGradient
from vzlib.models.checkpoint import keyed

PEAK = 0.5  # attention at which s(1 - s) is largest
EDGES = np.linspace(-10, 0, 51)  # of log10(s), for the distributions


def measure(settings: SoftmaxGradient) -> pd.DataFrame:
    """Where the attention of a model's tower lies on the curve s(1 - s), from the store if known.

    The softmaxes are those of every head and query token of every image ("all"), and of the CLS
    query alone ("cls") where there is one.

    Columns: name, unit (of the image), queries, layer (1 is the first block), read (whether the
    language model reads this block), quantity, s, value. Quantities, in percent of each image:
    tokens_growing, mass_growing (of tokens and of attention at s < 1/2), mass_exponential (of
    attention at s <= settings.exponential), softmaxes_past_peak (with a token at s > 1/2; there can
    be only one), and the distributions tokens_at and mass_at over bins of log10(s) around the
    column s. Smaller s than 1e-10 count in the first bin.
    Raises ValueError for a model or images that there are not.
    """
    source = settings.images
    pictures.check([source])
    kind = pictures.label(source)
    point = {"images": kind, "count": settings.count, "seed": pictures.drawn(source, settings.seed)}
    return results.compute(
        "softmax_gradient",
        {**point, "exponential": settings.exponential},
        partial(_measure, settings.model, source),
        **keyed(settings.model),
        data_version=pictures.version(source),
        about={"model": settings.model, "questions": kind},
    )


def _measure(name: str, source: str, point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.experiments.attention import maps_by_layer
    from vzlib.models.load import loaded
    from vzlib.models.tower_parts import depth_of

    model = loaded(name)
    read = depth_of(model.tower, model.layer)
    rows: list[tuple[Any, ...]] = []
    images = pictures.pictures(source, point["count"], point["seed"])
    for picture in tqdm(images, desc=point["images"], unit="image"):
        pixels = model.pixels([picture.image])
        for layer, heads in enumerate(maps_by_layer(model.tower, pixels), start=1):
            chosen = {"all": heads, "cls": heads[:, :, :1]} if model.has_cls else {"all": heads}
            for queries, attention in chosen.items():
                common = (picture.name, picture.unit, queries, layer, layer == read)
                rows += [(*common, *row) for row in _statistics(attention, point["exponential"])]
    columns = ["name", "unit", "queries", "layer", "read", "quantity", "s", "value"]
    return pd.DataFrame(rows, columns=columns).astype({"s": float})


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
