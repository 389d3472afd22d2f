"""Figures 5, 12 and 13: how concentrated the attention on visual tokens is in every layer."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from vzlib import results, scenes
from vzlib.experiments.attention_by_layer.settings import AttentionByLayer
from vzlib.models.checkpoint import identity
from vzlib.scenes.pictures import pictures
from vzlib.statistics import intervals

# Measure -> does it rise with concentration?
MEASURES = {
    "gini": True,
    "normalised entropy": False,
    "top 10 % share": True,
    "effective tokens": False,
}


def measure(settings: AttentionByLayer) -> pd.DataFrame:
    """Concentration of the attention on the patches, for every image and layer, stored.

    Columns: images, name, unit, rule ("cls": attention from the CLS token; "mean": mean over all
    queries), layer (from 1), read (is it the layer that the language model reads?), measure, value.
    Raises ValueError for a model that there is not.
    """
    return _stored("attention_by_layer", _measure, settings, {"count": settings.count})


def maps(settings: AttentionByLayer) -> pd.DataFrame:
    """Attention on every patch in every layer, for one image of each kind, stored.

    Columns: images, name, rule, layer, read, patch, weight. Raises ValueError as `measure` does.
    """
    return _stored("attention_by_layer_maps", _maps, settings, {"shown": settings.shown})


def _stored(
    experiment: str, function: Any, settings: AttentionByLayer, chosen: Mapping[str, Any]
) -> pd.DataFrame:
    model = identity(settings.model)
    tables = []
    for kind in dict.fromkeys(settings.images):
        seed = settings.seed if kind == "photographs" else 0  # scenes have none
        table = results.compute(
            experiment,
            {"images": kind, "seed": seed, **chosen},
            partial(function, settings.model),
            model_fingerprint=model,
            data_version=str(scenes.VERSION),
        )
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _measure(model: str, point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.experiments.attention import every_layer
    from vzlib.tokens import effective_tokens, gini, normalized_entropy, top_share

    functions = dict(
        zip(MEASURES, (gini, normalized_entropy, top_share, effective_tokens), strict=True)
    )
    chosen = pictures(point["images"], point["count"], point["seed"])
    rows = [
        (point["images"], picture.name, picture.unit, rule, layer, layer == read, name, value)
        for picture, rule, received, read in every_layer(model, chosen, point["images"])
        for name, function in functions.items()
        for layer, value in enumerate(function(received).tolist(), start=1)
    ]
    columns = ["images", "name", "unit", "rule", "layer", "read", "measure", "value"]
    return pd.DataFrame(rows, columns=columns)


def _maps(model: str, point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.experiments.attention import every_layer

    kind, number = point["images"], point["shown"]
    chosen = pictures(kind, number + 1, point["seed"])[number:]
    rows = [
        (kind, picture.name, rule, layer, layer == read, patch, weight)
        for picture, rule, received, read in every_layer(model, chosen, f"map of {kind}")
        for layer, weights in enumerate(received.tolist(), start=1)
        for patch, weight in enumerate(weights)
    ]
    return pd.DataFrame(
        rows, columns=["images", "name", "rule", "layer", "read", "patch", "weight"]
    )


def profile(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over images of every measure in every layer, with its 95 % interval.

    Columns: images, rule, measure, layer, read, value, low, high, n (images), units (photographs or
    scenes that were resampled).
    """
    found = []
    for (kind, rule, name), group in rows.groupby(["images", "rule", "measure"], sort=False):
        values, units, read = by_image(group)
        for layer, bounds in enumerate(intervals.band(values, units).T, start=1):
            n = (len(units), len(np.unique(units)))
            found.append((kind, rule, name, layer, layer == read, *bounds, *n))
    columns = ["images", "rule", "measure", "layer", "read", "value", "low", "high", "n", "units"]
    return pd.DataFrame(found, columns=columns)


def by_image(group: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, int]:
    """Values [N, L], units [N] and the layer read, of one kind of images, rule and measure."""
    wide = group.pivot(index="name", columns="layer", values="value")
    units = group.drop_duplicates("name").set_index("name")["unit"]
    read = int(group.loc[group["read"], "layer"].iloc[0])
    return wide.to_numpy(), units[wide.index].to_numpy(dtype=str), read


def examples(
    rows: pd.DataFrame, settings: AttentionByLayer, columns: int = 6
) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Image and maps [G, G] of some layers by name, for the image of each kind in `maps`.

    The layers are spread evenly over the tower, with the first, the one that is read and the last
    among them. The rule is that by which the method selects: "cls" where there is a CLS token.
    """
    rule, layers = rows["rule"].iloc[0], int(rows["layer"].max())
    read = int(rows.loc[rows["read"], "layer"].iloc[0])
    chosen = sorted({*np.linspace(1, layers, columns - 1).round().astype(int).tolist(), read})
    found = {}
    for kind in dict.fromkeys(settings.images):
        picture = pictures(kind, settings.shown + 1, settings.seed)[-1]
        own = rows[(rows["images"] == kind) & (rows["rule"] == rule)]
        grid = math.isqrt(int(own["patch"].max()) + 1)
        maps = {}
        for layer in chosen:
            weights = own.loc[own["layer"] == layer, "weight"].to_numpy()
            note = " (read)" if layer == read else ""
            maps[f"layer {layer}{note}"] = weights.reshape(grid, grid)
        found[picture.name] = (picture.image, maps)
    return found
