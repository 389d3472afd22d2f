"""Claims C35 to C40 and C42: time and memory. Put to notebook 08.

They do not depend on the weights, so what is measured is a geometry with random ones, on the device
of this machine, whatever the model of the ledger is.
"""

from functools import partial

from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import Finding, not_measurable
from vzlib.experiments.efficiency import verdicts as efficiency_verdicts
from vzlib.statistics import verdict
from vzlib.statistics.intervals import Interval

NOTEBOOK = "08_efficiency"
# What a measurement leaves out of its claim.
LEFT_OUT = {"C39": "; of faster and more accurate, only the first is measured"}
LARGE = "make reproduce SCALE=paper NOTEBOOKS=08"  # asks LLaVA-NeXT, on a GPU


def _decided(claim: str, evidence: Evidence) -> Finding:
    times, costs = evidence.rows(NOTEBOOK), evidence.rows(NOTEBOOK, "costs")
    settings = evidence.settings(NOTEBOOK)
    table = efficiency_verdicts.verdicts(times, costs, settings)
    if claim not in set(table["claim"]):
        return Finding(verdict.NOT_YET, note="these settings leave out what it compares")
    row = table.set_index("claim").loc[claim]
    if row["verdict"] == verdict.NOT_MEASURABLE:
        return not_measurable(str(row["measured"]), LARGE)
    interval = Interval(*row[list(Interval._fields)].astype(float))
    counted = interval.low == interval.high
    note = "memory is counted, not sampled" if counted else "the paper's device is one A800"
    note += LEFT_OUT.get(claim, "")
    models = " and ".join(filter(None, (settings.geometry, settings.larger)))
    return Finding(
        str(row["verdict"]), str(row["rule"]), interval, str(row["unit"]),
        times["round"].nunique(), "rounds", f"random weights; {note}",
        model=f"{models}, {times['device'].iloc[0]}",
    )  # fmt: skip


CLAIMS = {
    claim: partial(_decided, claim) for claim in ("C35", "C36", "C37", "C38", "C39", "C40", "C42")
}
