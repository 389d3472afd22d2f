"""Next check N3: which features go first, and do losses follow the question? Notebook 16."""

from typing import Any

from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import Finding, decided, not_measurable
from vzlib.experiments.what_is_lost import tell
from vzlib.statistics import verdict
from vzlib.statistics.intervals import Interval, written

NOTEBOOK = "16_what_is_lost"
METHOD = "visionzip"


def by_kind_of_question(evidence: Evidence) -> Finding:
    """Is one kind of question lost more readily than the others, for the same things?"""
    budget = min(evidence.settings(NOTEBOOK).budgets)
    rows = evidence.rows(NOTEBOOK, methods=(METHOD,), budgets=(budget,))
    things = evidence.rows(NOTEBOOK, module="measure_things", methods=(METHOD,), budgets=(budget,))
    data = tell.answers(rows, things)
    if data.empty:
        return not_measurable("of these questions it is not known what they are about")
    table = tell.ratios(data)
    hardest = tell.hardest_task(table, METHOD, budget)
    if hardest is None:
        return not_measurable(f"too few answers are lost at {budget} tokens to model their odds")
    task, interval = hardest
    own: Any = table[(table["held"] == "nothing") & ~table["term"].str.startswith(tell.TASK)]
    told = "; ".join(f"{row.of} {written(Interval(row.value, row.low, row.high))}"
                     for row in own.itertuples())  # fmt: skip
    n = int(own["n"].iloc[0])
    note = (
        f"{task}, the largest of the tasks, with an interval for all together; other odds ratios: "
        f"{told}; {int(own['lost'].iloc[0])} of {n} right answers are lost"
    )
    return decided(verdict.above, 1, interval, n=n, data="questions", note=note,
                   unit=f"times the odds of the mean task that an answer is lost, {budget} tokens"
                   )  # fmt: skip


CLAIMS = {"N3": by_kind_of_question}
