"""What precision costs: accuracy against full precision, bytes and time."""

from typing import Any

import pandas as pd

from vzlib.experiments.quantisation.precisions import BITS
from vzlib.methods import registry
from vzlib.statistics import MEAN
from vzlib.statistics.comparison import Difference, holm, paired_difference, percent_of, summary
from vzlib.statistics.intervals import Interval, written

VANILLA = "vanilla"
WAY = ["precision", "method"]
NAN = float("nan")
NOTHING = Difference(NAN, NAN, NAN, NAN, 0)


def accuracy(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy in percent, mean over tasks, with its 95 % interval, and what the precision loses.

    Columns: precision, method, bits, n, value, low, high, percent (of all tokens at the first
    precision) with its bounds, and change (points to the same method at the first precision,
    paired) with its bounds and holm (its p, corrected for all of them); missing for the first.
    """
    base = str(rows["precision"].iloc[0])
    named = rows.assign(way=rows["precision"] + " " + rows["method"])
    score = summary(rows, WAY)
    table = score[score["task"] == MEAN].drop(columns=["task", "majority"]).reset_index(drop=True)
    percents, changes = [], []
    for precision, method in zip(table["precision"], table["method"], strict=True):
        own = f"{precision} {method}"
        percents.append(percent_of(named, own, f"{base} {VANILLA}"))
        changes.append(
            NOTHING if precision == base else paired_difference(named, own, f"{base} {method}")
        )
    table.insert(2, "bits", [BITS[one] for one in table["precision"]])
    for name, found in (("percent", percents), ("change", changes)):
        table[name] = [one.value for one in found]
        table[f"{name}_low"] = [one.low for one in found]
        table[f"{name}_high"] = [one.high for one in found]
    p = pd.Series([one.p for one in changes])
    table["holm"] = p
    table.loc[p.notna(), "holm"] = holm(p.dropna().to_numpy())
    return table


def kept(rows: pd.DataFrame, precision: str, method: str) -> Interval:
    """Percent of the accuracy that a method has at the first precision, kept at another."""
    base = rows["precision"].iloc[0]
    own = rows[(rows["method"] == method) & rows["precision"].isin([base, precision])]
    return percent_of(own, precision, base, "precision")


def sizes(counted: pd.DataFrame) -> pd.DataFrame:
    """Megabytes by part and method: weights are those of all methods, the cache is one's own.

    counted: of `measure_bytes.measure`. Columns: precision, method, one per part, sum.
    """
    wide = counted.pivot_table("bytes", WAY, "part", sort=False) / 1e6
    own = wide.reset_index()
    for part in ("tower", "projector", "language model"):
        own[part] = own.groupby("precision")[part].transform("first")
    own["sum"] = own.drop(columns=WAY).sum(axis=1)
    return own


def times(seconds: pd.DataFrame) -> pd.DataFrame:
    """Milliseconds from pixels to the first word, medians of rounds: by stage, and in all.

    seconds: of `measure_speed.measure`.
    """
    middle = seconds.groupby([*WAY, "stage"], sort=False)["seconds"].median().mul(1e3)
    wide = middle.unstack("stage")[["tower", "language model"]]
    return wide.assign(all=wide.sum(axis=1)).reset_index()


def conclusion(rows: pd.DataFrame) -> str:
    """What every precision costs each method."""
    base, lines = rows["precision"].iloc[0], []
    table: Any = accuracy(rows).dropna(subset="change").itertuples()
    for row in table:
        change = written(Interval(row.change, row.change_low, row.change_high))
        lines.append(
            f"{registry.label_of(str(row.method))} at {row.precision}: {change} points to {base} "
            f"(n = {row.n})."
        )
    return "\n".join(lines)
