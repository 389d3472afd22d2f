"""What the answers of `measure` say: the curve of the split, and what each choice changes."""

from typing import Any

import pandas as pd

from vzlib.experiments.dominant_contextual.measure import (
    ALL,
    FACTORS,
    LAYER,
    MERGE,
    RELEASED,
    SPLIT,
    SPLIT_PAPER,
)
from vzlib.statistics import MEAN, verdict
from vzlib.statistics.comparison import QUESTION, holm, paired_difference, summary
from vzlib.statistics.intervals import Interval

POOLED = 0  # stands among the totals for the mean over them
SIGNIFICANT = 0.05


def curve(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy against the contextual tokens of a total, by both merge rules, and of all tokens.

    Columns: factor, total, merge, contextual, share (of the total), and those of
    `vzlib.statistics.comparison.summary`.
    """
    chosen = rows[rows["factor"].isin([ALL, RELEASED, SPLIT, SPLIT_PAPER, MERGE])]
    # Without contextual tokens there is nothing to merge: one measurement stands for both rules.
    alone = chosen[(chosen["factor"] == SPLIT) & (chosen["contextual"] == 0)]
    both = pd.concat([chosen, alone.assign(merge="paper")])
    table = summary(both, ["factor", "total", "merge", "contextual"])
    table.insert(4, "share", table["contextual"] / table["total"])
    return table.sort_values(["total", "merge", "contextual"], kind="stable", ignore_index=True)


def differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Percentage points by which each choice is better than the released one, largest first.

    Paired on the same questions, images as units; for each total, and for their mean (total
    POOLED, where a question counts once with its mean score over the totals).

    Columns: total, factor, choice, layer, value, low, high (95 %), p (two-sided), holm (p corrected
    for all comparisons at this total), n (questions).
    """
    totals = rows.loc[rows["factor"] != ALL, "total"].unique()
    return pd.concat([_differences(rows, total) for total in (POOLED, *totals)], ignore_index=True)


def by_task(rows: pd.DataFrame) -> pd.DataFrame:
    """As `differences`, pooled over the totals, for the questions of each task alone.

    Columns: task, and those of `differences` (holm: corrected within the task).
    """
    tables = [
        _differences(own, POOLED).assign(task=task)
        for task, own in rows.groupby("task", sort=False)
    ]
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "task", table.pop("task"))
    return table


def _differences(rows: pd.DataFrame, total: int) -> pd.DataFrame:
    own = rows[rows["factor"].isin(FACTORS) & (rows["factor"] != SPLIT_PAPER)]
    own = own if total == POOLED else own[own["total"] == total]
    keys = ["factor", "choice", "layer"]
    # Numbers in place of names, which would be slow to sort.
    numbers = {name: pd.factorize(own[name])[0] for name in QUESTION}
    numbered = own[[*keys, "score"]].assign(**numbers, way=own.groupby(keys, sort=False).ngroup())
    ways = numbered.drop_duplicates("way").set_index("way")[keys]
    (released,) = ways.index[ways["factor"] == RELEASED]
    ways = ways.drop(index=released)
    gains = [paired_difference(numbered, way, released)._asdict() for way in ways.index]
    table = pd.concat([ways.reset_index(drop=True), pd.DataFrame(gains)], axis=1)
    table.insert(0, "total", total)
    table.insert(8, "holm", holm(table["p"].to_numpy()))
    return table.sort_values("value", key=abs, ascending=False, kind="stable", ignore_index=True)


def verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """Claim C13: do contextual tokens save what dominant ones alone would lose?

    table: of `differences`. "dominant tokens alone" spends the same total and decides on the claim;
    "targets not merged" keeps the same tokens as targets and drops what would merge into them.

    Columns: claim, total, against, value, low, high (points by which the released method is
    better), verdict.
    """
    found = []
    for factor, choice, against in (
        (SPLIT, "none", "dominant tokens alone"),
        ("leftovers", "not merged", "targets not merged"),
    ):
        own = table[(table["factor"] == factor) & (table["choice"] == choice)]
        for total, better in zip(
            own["total"], -own[["value", "high", "low"]].to_numpy(), strict=True
        ):
            gain = Interval(*map(float, better))
            found.append(("C13", total, against, *gain, verdict.above(gain, 0)))
    return pd.DataFrame(found, columns=["claim", "total", "against", *Interval._fields, "verdict"])


def conclusion(rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """A paragraph on which choices matter. rows: of `measure`. table: of `differences`."""
    pooled = table[table["total"] == POOLED]
    matter = pooled["holm"] < SIGNIFICANT
    points = curve(rows)
    accuracy = points[points["task"] == MEAN].set_index(["factor", "total"])["value"]
    totals = sorted(table.loc[table["total"] != POOLED, "total"].unique())
    started = ", ".join(f"{accuracy[RELEASED, total]:.1f} % at {total}" for total in totals)
    sentences = [
        f"With all tokens the model answers {accuracy[ALL].iloc[0]:.1f} % of "
        f"{len(rows[QUESTION].drop_duplicates())} questions about {rows['image'].nunique()} images "
        f"right (mean over tasks), with the released method {started} tokens.",
        f"Of {len(pooled)} other choices {matter.sum()} change the mean over the totals "
        f"significantly (p < {SIGNIFICANT} after Holm)"
        + (f": {_told(pooled[matter])}." if matter.any() else "."),
    ]
    if not matter.all():
        rest = pooled[~matter]
        bound = rest[["low", "high"]].abs().to_numpy().max()
        names = ", ".join(_name(row) for row in rest.itertuples())
        sentences.append(
            f"For the others ({names}) no difference is shown; their 95 % intervals reach at most "
            f"{bound:.1f} points from zero."
        )
    split = pooled[pooled["factor"] == SPLIT].sort_values("value")
    best, worst = split.iloc[[-1]], split.iloc[[0]]
    shown = "significantly" if best["holm"].iloc[0] < SIGNIFICANT else "not significantly"
    sentences.append(
        f"Of the other splits the best one is {shown} different from 54:10, "
        f"{_told(best)}; the worst is {_told(worst)}."
    )
    claim = verdicts(pooled).set_index("against")["verdict"]
    sentences.append(
        f"That contextual tokens save what dominant tokens alone would lose (C13): "
        f"{claim['dominant tokens alone']}; that merging improves on the targets as they are: "
        f"{claim['targets not merged']}."
    )
    return " ".join(sentences)


def _told(rows: pd.DataFrame) -> str:
    """Choices with their differences in words, in the order of the rows."""
    return ", ".join(
        f"{_name(row)} {row.value:+.1f} [{row.low:+.1f}, {row.high:+.1f}]"
        for row in rows.itertuples()
    )


def _name(row: Any) -> str:
    return row.choice if row.factor == LAYER else f"{row.factor}: {row.choice}"
