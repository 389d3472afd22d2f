"""What changes of the tower do to the concentration of its attention, and to answers."""

from typing import Any

import numpy as np
import pandas as pd

from vzlib.experiments.concentration.measure import QUANTITIES
from vzlib.experiments.concentration.names import BY_MEAN, STOCK, VANILLA, ZIPPED
from vzlib.statistics import MEAN, intervals
from vzlib.statistics.comparison import paired_difference, percent_of, summary
from vzlib.statistics.intervals import Interval, written


def attention(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over images, and what differs from the stock tower, paired by image.

    rows: of `measure`. Columns: condition, rule, quantity, value, low, high (95 % over units), n
    (images), change, change_low, change_high (against the stock tower).
    """
    found = []
    stock: dict[Any, pd.DataFrame] = {rule: own.set_index("name")
             for rule, own in rows[rows["condition"] == STOCK].groupby("rule")}  # fmt: skip
    for (condition, rule), own in rows.groupby(["condition", "rule"], sort=False):
        before, units = stock[rule].loc[own["name"]], own["unit"].to_numpy(str)
        for name in QUANTITIES:
            values = own[name].to_numpy(float)
            change = values - before[name].to_numpy(float)
            mean, moved = (intervals.mean_over(part, units) for part in (values, change))
            found.append((condition, rule, name, *mean, len(own), *moved))
    columns = ["condition", "rule", "quantity", *Interval._fields, "n"]
    return pd.DataFrame(found, columns=[*columns, "change", "change_low", "change_high"])


def answered(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy under every condition, and what differs from the stock tower.

    rows: of `measure_answers`. Columns: condition, method, value, low, high (percent, mean over
    tasks), change, change_low, change_high (points against the same method in the stock tower,
    paired by question), n (questions).
    """
    named = rows.assign(way=rows["condition"] + ", " + rows["method"])
    means = summary(named, ["condition", "method"])
    found = []
    told: Any = means[means["task"] == MEAN].itertuples()
    for row in told:
        moved = (0.0, 0.0, 0.0)
        if row.condition != STOCK:
            pair = (f"{one}, {row.method}" for one in (row.condition, STOCK))
            moved = paired_difference(named, *pair)[:3]
        found.append((row.condition, row.method, row.value, row.low, row.high, *moved, row.n))
    columns = ["condition", "method", *Interval._fields, "change", "change_low", "change_high", "n"]
    return pd.DataFrame(found, columns=columns)


def stock_answers(rows: pd.DataFrame) -> pd.DataFrame:
    """Answers of the stock tower alone. rows: of `measure_answers`."""
    return rows[rows["condition"] == STOCK]


def kept_by_mean(rows: pd.DataFrame) -> Interval:
    """Percent of vanilla that VisionZip keeps without a CLS token. rows: of `measure_answers`."""
    return percent_of(stock_answers(rows), BY_MEAN, VANILLA, "method")


def percent_kept(rows: pd.DataFrame) -> Interval:
    """Percent of vanilla that the released method keeps. rows: of `measure_answers`."""
    return percent_of(stock_answers(rows), ZIPPED, VANILLA, "method")


def gain(rows: pd.DataFrame, one: str, other: str) -> Any:
    """`paired_difference` of two methods in the stock tower. rows: of `measure_answers`."""
    return paired_difference(stock_answers(rows), one, other, "method")


def rule_of(table: pd.DataFrame) -> str:
    """The rule that selects. table: of `attention`."""
    return "cls" if "cls" in set(table["rule"]) else "mean"


def moved(table: pd.DataFrame, condition: str, quantity: str = "gini") -> Interval:
    """By how much a condition changes a quantity, by the rule that selects; NaN where it was not
    measured. table: of `attention`.
    """
    own = table[(table["condition"] == condition) & (table["quantity"] == quantity)]
    row = own[own["rule"] == rule_of(table)][["change", "change_low", "change_high"]]
    return Interval(*row.iloc[0].astype(float)) if len(row) else intervals.NOTHING


def conclusion(table: pd.DataFrame, answers: pd.DataFrame, rows: pd.DataFrame) -> str:
    """A line for each condition. table, answers: of `attention` and `answered`. rows: answers."""
    own = table[(table["rule"] == rule_of(table)) & (table["condition"] == STOCK)]
    start: Any = own[own["quantity"] == "gini"].iloc[0]
    lines = [
        f"In the layer that is read the Gini coefficient of the attention on patches is "
        f"{start['value']:.2f} ({int(start['n'])} images)."
    ]
    both = table[(table["condition"] == STOCK) & (table["quantity"] == "same")].set_index("rule")
    if {"cls", "mean"} <= set(both.index):
        shared = Interval(*both.loc["mean", list(Interval._fields)].astype(float))
        lines[0] += (
            f" Of the patches that CLS attends to most {written(shared)} % are also those that all "
            "tokens attend to most."
        )
    points = answers.set_index(["condition", "method"])
    for condition in dict.fromkeys(table["condition"]):
        if condition == STOCK:
            continue
        told = [f"Gini {_signed(moved(table, condition))}"]
        told += [f"{_signed(moved(table, condition, 'watched'))} points of attention on the "
                 f"patches that the stock tower attends to most"]  # fmt: skip
        for method in (VANILLA, ZIPPED):
            if (condition, method) in points.index:
                row = points.loc[(condition, method)]
                change = Interval(*row[["change", "change_low", "change_high"]].astype(float))
                told.append(f"{method} {_signed(change)} points")
        lines.append(f"{condition}: {'; '.join(told)}.")
    kept, better = kept_by_mean(rows), gain(rows, BY_MEAN, ZIPPED)
    lines.append(
        f"Without the CLS token, by the column mean, VisionZip keeps {written(kept)} % of the "
        f"accuracy with all tokens, {_signed(Interval(*better[:3]))} points against the released "
        f"method ({better.n} questions)."
    )
    return "\n\n".join(lines)


def _signed(interval: Interval) -> str:
    if np.isnan(interval.value):
        return "not measured"
    digits = 2 if abs(interval.value) < 1 else 1
    value, low, high = (f"{one:+.{digits}f}" for one in interval)
    return f"{value} [{low}, {high}]"
