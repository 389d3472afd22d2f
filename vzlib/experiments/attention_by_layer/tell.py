"""What 02_attention_by_layer says of depth: means over images with their 95 % intervals."""

import math

import numpy as np
import pandas as pd

from vzlib.evaluation.pictures import label, pictures
from vzlib.experiments.attention_by_layer.settings import AttentionByLayer
from vzlib.statistics import intervals


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
    for source in dict.fromkeys(settings.images):
        picture = pictures(source, settings.shown + 1, settings.seed)[-1]
        own = rows[(rows["images"] == label(source)) & (rows["rule"] == rule)]
        grid = math.isqrt(int(own["patch"].max()) + 1)
        maps = {}
        for layer in chosen:
            weights = own.loc[own["layer"] == layer, "weight"].to_numpy()
            note = " (read)" if layer == read else ""
            maps[f"layer {layer}{note}"] = weights.reshape(grid, grid)
        found[picture.name] = (picture.image, maps)
    return found
