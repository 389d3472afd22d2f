"""What 04_feature_misalignment says: ratios to even attention, with 95 % intervals over scenes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from vzlib.experiments.feature_misalignment.attention_shares import BLANK
from vzlib.statistics.intervals import Interval, ratio


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Ratios with intervals over scenes; in a scene, things of one kind count by their tokens.

    rows: of `measure`. Columns: quantity, kind (as measured, and "object" for all but blanks),
    target, layer, retained, n (tokens), scenes, share, expected, value = share / expected with its
    95 % interval low, high. Target "dominant/own": the first ratio over the second, by scene.
    """
    objects = rows[rows["kind"] != BLANK].assign(kind="object")
    both = pd.concat([rows[rows["quantity"] != "place"], objects], ignore_index=True)
    for column in ("share", "expected"):
        both[column] *= both["n"]
    keys = ["quantity", "kind", "target", "layer", "retained"]
    scene = both.groupby([*keys, "scene"], sort=False)[["n", "share", "expected"]].sum()
    scene = scene.reset_index()
    found = []
    for key, group in scene.groupby(keys, sort=False):
        n = int(group["n"].sum())
        share, expected = (group[column].to_numpy() for column in ("share", "expected"))
        means = (share.sum() / n, expected.sum() / n)
        found.append((*key, n, len(group), *means, *_ratio(share, expected)))
    found += list(_dominant_over_own(scene))
    columns = [*keys, "n", "scenes", "share", "expected", *Interval._fields]
    return pd.DataFrame(found, columns=columns)


def _dominant_over_own(scene: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Attention per dominant token over that per token of the own object, by kind and block."""
    wanted = scene[scene["quantity"] == "attention"]
    for key, group in wanted.groupby(["kind", "layer", "retained"], sort=False):
        by_target = {
            name: rows.set_index("scene") for name, rows in group.groupby("target", sort=False)
        }
        dominant, own = by_target["dominant"], by_target["own object"]
        size = [part["expected"].sum() for part in (dominant, own)]
        if size[1] == 0:
            continue
        first, second = (
            part["share"].to_numpy() / total
            for part, total in zip((dominant, own), size, strict=True)
        )
        kind, layer, retained = key
        yield (
            "attention", kind, "dominant/own", layer, retained, int(own["n"].sum()), len(own),
            np.nan, np.nan, *_ratio(first, second),
        )  # fmt: skip


def _ratio(one: np.ndarray, other: np.ndarray) -> Interval:
    """The ratio of two measurements [scenes]; of one scene alone without an interval."""
    if len(one) > 1:
        return ratio(one, other)
    return Interval(float(one.sum() / other.sum()), np.nan, np.nan)


def read_block(rows: pd.DataFrame) -> int:
    """The block, from 1, whose output `settings.layer` is: that of places and distances."""
    return int(rows.loc[rows["quantity"] == "place", "layer"].iloc[0])


def shares_of_points(maps: pd.DataFrame, radius: float) -> pd.DataFrame:
    """How a point's attention to patches divides, in percent, beside the share of the patches.

    maps: of `measure_points`. radius: in patches; what lies within it of the point counts as near.
    Columns: photograph, what, near, near_area, dominant, dominant_area, CLS (of all attention).
    """
    found = []
    for (photograph, what), own in maps.groupby(["photograph", "what"], sort=False):
        total = own["attention"].sum()
        away = np.hypot(own["row"] - own["query_row"], own["column"] - own["query_column"])
        near = away <= radius
        found.append(
            {
                "photograph": photograph,
                "what": what,
                "near": 100 * own.loc[near, "attention"].sum() / total,
                "near_area": 100 * near.mean(),
                "dominant": 100 * own.loc[own["dominant"], "attention"].sum() / total,
                "dominant_area": 100 * own["dominant"].mean(),
                "CLS": 100 * own["cls"].iloc[0],
            }
        )
    return pd.DataFrame(found)
