"""Claim C13 and question Q3: contextual tokens and the split of the budget. Put to notebook 07."""

from typing import Any

import pandas as pd

from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import Finding, decided
from vzlib.experiments.dominant_contextual.measure import RELEASED, SPLIT
from vzlib.experiments.dominant_contextual.tell import POOLED, differences, verdicts
from vzlib.statistics import verdict
from vzlib.statistics.comparison import QUESTION
from vzlib.statistics.intervals import Interval, written
from vzlib.statistics.several import largest

NOTEBOOK = "07_dominant_contextual"
DETAIL = "detail"  # the task of the second deck whose answer is a small thing on a large one


def _against_released(evidence: Evidence, factor: str, choice: str | None = None) -> pd.DataFrame:
    """Differences to the released method, mean over the totals, of the choices of one factor."""
    return _against_released_of(evidence.rows(NOTEBOOK), factor, choice)


def _against_released_of(
    rows: pd.DataFrame, factor: str, choice: str | None = None
) -> pd.DataFrame:
    own = (rows["factor"] == factor) & (rows["choice"].eq(choice) if choice else True)
    table = differences(rows[own | (rows["factor"] == RELEASED)])
    return table[table["total"] == POOLED]


def contextual_save(evidence: Evidence) -> Finding:
    """The released split against dominant tokens alone, of the same total."""
    row = verdicts(_against_released(evidence, SPLIT, "none")).iloc[0]
    interval = Interval(*row[list(Interval._fields)].astype(float))
    n = len(evidence.rows(NOTEBOOK)[QUESTION].drop_duplicates())
    note = f"mean over the totals{_on_details(evidence)}"
    return decided(verdict.above, 0, interval, unit="points over dominant tokens alone", n=n,
                   data="questions", note=note)  # fmt: skip


def _on_details(evidence: Evidence) -> str:
    """The same for fine details alone, where they are asked about."""
    rows = evidence.rows(NOTEBOOK)
    own = rows[rows["task"] == DETAIL]
    if own["image"].nunique() < 2:
        return ""
    row = verdicts(_against_released_of(own, SPLIT, "none")).iloc[0]
    interval = Interval(*row[list(Interval._fields)].astype(float))
    said, n = written(interval), len(own[QUESTION].drop_duplicates())
    return f"; on fine details alone {said}, {verdict.above(interval, 0)} (n = {n})"


def another_split(evidence: Evidence) -> Finding:
    """Is there a better split than 54:10? The best of the others, for all of them together."""
    table = _against_released(evidence, SPLIT)
    rows: Any = table.itertuples()
    choices = {row.choice: Interval(row.value, row.low, row.high) for row in rows}
    best, interval = largest(choices)
    note = (
        f"the best of {len(choices)} other splits, contextual tokens: {best}; one split for all "
        "images, mean over the totals. Whether attention can choose the total for an image is N2"
    )
    n = int(table["n"].iloc[0])
    return decided(verdict.above, 0, interval, unit="points over the split 54:10", n=n,
                   data="questions", note=note)  # fmt: skip


CLAIMS = {"C13": contextual_save, "Q3": another_split}
