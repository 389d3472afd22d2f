"""Claim C13 and question Q3: contextual tokens and the split of the budget. Put to notebook 07."""

from typing import Any

import pandas as pd

from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import Finding, decided
from vzlib.experiments.dominant_contextual import measure as dominant_contextual
from vzlib.experiments.dominant_contextual.measure import ALL, LAYER, POOLED, RELEASED, SPLIT, curve
from vzlib.statistics import verdict
from vzlib.statistics.comparison import MEAN, QUESTION
from vzlib.statistics.intervals import Interval
from vzlib.statistics.several import largest

NOTEBOOK = "07_dominant_contextual"
SIGNIFICANT = 0.05


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


def _against_released(evidence: Evidence, factor: str, choice: str | None = None) -> pd.DataFrame:
    """Differences to the released method, mean over the totals, of the choices of one factor."""
    rows = evidence.rows(NOTEBOOK)
    own = (rows["factor"] == factor) & (rows["choice"].eq(choice) if choice else True)
    table = dominant_contextual.differences(rows[own | (rows["factor"] == RELEASED)])
    return table[table["total"] == POOLED]


def contextual_save(evidence: Evidence) -> Finding:
    """The released split against dominant tokens alone, of the same total."""
    row = verdicts(_against_released(evidence, SPLIT, "none")).iloc[0]
    interval = Interval(*row[list(Interval._fields)].astype(float))
    n = len(evidence.rows(NOTEBOOK)[QUESTION].drop_duplicates())
    return decided(verdict.above, 0, interval, unit="points over dominant tokens alone", n=n,
                   data="questions", note="mean over the totals")  # fmt: skip


def another_split(evidence: Evidence) -> Finding:
    """Is there a better split than 54:10? The best of the others, for all of them together."""
    table = _against_released(evidence, SPLIT)
    rows: Any = table.itertuples()
    choices = {row.choice: Interval(row.value, row.low, row.high) for row in rows}
    best, interval = largest(choices)
    note = (
        f"the best of {len(choices)} other splits, contextual tokens: {best}; one split for all "
        "images, mean over the totals. How to choose it for an image or a task is not yet measured"
    )
    n = int(table["n"].iloc[0])
    return decided(verdict.above, 0, interval, unit="points over the split 54:10", n=n,
                   data="questions", note=note)  # fmt: skip


CLAIMS = {"C13": contextual_save, "Q3": another_split}
