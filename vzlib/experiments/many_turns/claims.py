"""Claim C43: is VisionZip better in later turns, with what was kept for the first? Notebook 12."""

from typing import Any

from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import Finding, decided, not_measurable
from vzlib.experiments.many_turns import tell
from vzlib.methods import registry
from vzlib.statistics import verdict
from vzlib.statistics.intervals import Interval, written
from vzlib.statistics.several import together

NOTEBOOK = "12_many_turns"
TEXT = ("fastv", "sparsevlm")  # the text-relevant methods of the paper


def later_turns(evidence: Evidence) -> Finding:
    """VisionZip's smallest lead over text-relevant methods at the largest budget.

    The largest budget is the one that leaves these methods most to choose in their last layers.
    """
    settings = evidence.settings(NOTEBOOK)
    rows = evidence.rows(NOTEBOOK)
    rows = rows[rows["history"] == settings.history]
    budget = max(settings.budgets)
    own = rows[rows["budget"] == budget]
    leads = tell.leads(own, settings.history)
    later = leads[(leads["when"] == tell.LATER) & leads["method"].isin(TEXT)]
    if later.empty:
        return not_measurable(
            f"neither {' nor '.join(TEXT)} was measured beside VisionZip at {budget} tokens"
        )
    table: Any = later.itertuples()
    intervals = {str(row.method): Interval(row.value, row.low, row.high) for row in table}
    name = min(intervals, key=lambda one: intervals[one].value)
    costs = tell.keeping(own[own["method"].isin(intervals)])
    table = costs[costs["about"] == tell.ANY].itertuples()
    told = [
        f"{registry.label_of(str(row.method))} {written(Interval(row.value, row.low, row.high))}"
        for row in table
    ]
    note = (
        f"{budget} tokens, the smaller lead of {len(intervals)}, that over "
        f"{registry.label_of(name)}, with an interval for all together; what a question loses "
        f"behind another, in points: {'; '.join(told)}"
    )
    return decided(
        verdict.above, 0, together(intervals[name], len(intervals)),
        unit="points of accuracy in later turns", n=int(later["n"].iloc[0]), data="questions",
        note=note,
    )  # fmt: skip


CLAIMS = {"C43": later_turns}
