"""What attention has to do with the subject of images: against chance, with 95 % intervals.

Intervals are over photographs, not their crops.
"""

from typing import Any

import numpy as np
import pandas as pd

from vzlib.statistics.intervals import NOTHING, Interval, mean_over, ratio

NULLS = {
    "area": "the background's area",
    "others": "masks of other images",
    "matched": "patches as far from the edge",
}
KEYS = ["images", "rule", "layer", "read", "quantity", "target", "tokens"]


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over images and their differences to what chance gives.

    rows: of `measure_subjects`. Columns: those of KEYS, against ("" for the mean itself, or one of
    NULLS), value with low and high, null (mean of what it is compared with), n (images), units.
    """
    found = []
    for key, group in rows.groupby(KEYS, sort=False):
        for against in ("", *NULLS):
            null = group[against] if against else 0.0 * group["value"]
            difference = (group["value"] - null).to_numpy(dtype=float)
            known = ~np.isnan(difference)
            if known.any():
                units = group["unit"].to_numpy(dtype=str)[known]
                interval = _over(difference[known], units)
                middle = float(null[known].mean()) if against else np.nan
                found.append((*key, against, *interval, middle, known.sum(), len({*units})))
    columns = [*KEYS, "against", *Interval._fields, "null", "n", "units"]
    return pd.DataFrame(found, columns=columns)


def ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """How much more there is of one thing than of another, by images and layer.

    rows: of `measure_subjects`. Columns: images, layer, read, what, value with low and high, n
    (images), units. what: "dominant/own", attention per dominant token off the subject over that
    per other token of the subject, from the subject's patches; "dominant/background", over that per
    token of the background; "replaced", change of the subject when the most attended few are
    replaced over that when others are.
    """
    found = []
    for key, group in rows.groupby(["images", "layer", "read"], sort=False):
        looks: Any = group[group["quantity"] == "attention"].set_index(["target", "name"])
        for what, one, other in (
            ("dominant/own", "dominant", "own object"),
            ("dominant/background", "dominant", "background"),
        ):
            first, second = (looks.loc[target] for target in (one, other))
            found.append((*key, what, *_per_token(first, second)))
        replaced = group[group["quantity"] == "replaced"].dropna(subset="value")
        if len(replaced):
            sums = replaced.groupby("unit")[["value", "matched"]].sum()
            found.append((*key, "replaced", *_ratio(sums["value"], sums["matched"]),
                          len(replaced), len(sums)))  # fmt: skip
    columns = ["images", "layer", "read", "what", *Interval._fields, "n", "units"]
    return pd.DataFrame(found, columns=columns)


def _per_token(one: pd.DataFrame, other: pd.DataFrame) -> tuple[Any, ...]:
    """Attention per token of one target over that of another; and how many images and units."""
    there = one.index[one["area"] > 0]
    sizes = [part.loc[there].groupby("unit")["area"].sum() for part in (one, other)]
    shares = [part.loc[there].groupby("unit")["value"].sum() for part in (one, other)]
    if not len(there):
        return (*NOTHING, 0, 0)
    # Each unit counts by the attention it gives, on the scale of tokens of the average size.
    first, second = (share / size.sum() for share, size in zip(shares, sizes, strict=True))
    return (*_ratio(first, second), len(there), len(first))


def _ratio(one: pd.Series, other: pd.Series) -> Interval:
    if len(one) > 1:
        return ratio(one.to_numpy(dtype=float), other.to_numpy(dtype=float))
    return Interval(float(one.sum() / other.sum()), np.nan, np.nan)


def _over(values: np.ndarray, units: np.ndarray) -> Interval:
    if len({*units}) > 1:
        return mean_over(values, units)
    return Interval(float(values.mean()), np.nan, np.nan)
