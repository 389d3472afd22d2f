"""Claims C10 to C12: what does text-guided selection lose or gain? Put to notebook 05."""

from functools import partial
from typing import Any

import pandas as pd

from vzlib import paper
from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import CHANGE, Finding, decided
from vzlib.experiments.misalignment_ablation import tell
from vzlib.statistics import verdict
from vzlib.statistics.intervals import Interval, written

NOTEBOOK = "05_misalignment_ablation"
SELECTOR = "sparsevlm"  # that of the paper
EXPERIMENTS = {"C11": "Ex1", "C12": "Ex2"}


def _rows(evidence: Evidence) -> pd.DataFrame:
    return evidence.rows(NOTEBOOK, selectors=(SELECTOR,))


def misaligned(evidence: Evidence) -> Finding:
    shared = tell.overlap(_rows(evidence))
    row = shared[(shared["selector"] == SELECTOR) & (shared["condition"] == "baseline")].iloc[0]
    interval = Interval(*row[list(Interval._fields)].astype(float))
    permuted = evidence.rows(NOTEBOOK, module="measure_permuted", selectors=(SELECTOR,))
    note = (
        f"{row['share']:.1f} % of the tokens that {SELECTOR} keeps are dominant, by chance "
        f"{row['chance']:.1f} %; more than chance and still few is possible"
    )
    table: Any = tell.relevance(_rows(evidence), permuted).itertuples()
    for one in table:
        difference = written(Interval(one.value, one.low, one.high))
        note += (
            f"; asked the question of another image, {one.of} {one.other:.1f} instead of "
            f"{one.own:.1f} %, a difference of {difference} points"
        )
    return decided(verdict.below, 1, interval, unit="times the overlap expected by chance",
                   n=int(row["n"]), data="images", note=note)  # fmt: skip


def changed(claim: str, evidence: Evidence) -> Finding:
    """Ex1 and Ex2, against the baseline as in the paper."""
    experiment, rows = EXPERIMENTS[claim], _rows(evidence)
    effects = tell.effects(rows, by_task=False)
    ex2 = evidence.settings(NOTEBOOK).ex2
    decisions: Any = tell.verdicts(effects, ex2).set_index("experiment")
    one = "ex1" if experiment == "Ex1" else tell.EX2[ex2]
    row: Any = effects[(effects["one"] == one) & (effects["other"] == "baseline")].iloc[0]
    interval = Interval(row["percent"], row["percent_low"], row["percent_high"])
    published = paper.table(5).set_index("experiment")["change_percent"]
    side = "below" if float(published[experiment]) < 0 else "above"
    points = written(Interval(row["value"], row["low"], row["high"]))
    note = (
        f"{points} points; that these tokens matter more than as many random ones: "
        f"{decisions.loc[experiment, 'which']}"
    )
    return Finding(decisions.loc[experiment, "verdict"], f"whole interval {side} 0, in points",
                   interval, CHANGE, int(row["n"]), "questions", note)  # fmt: skip


CLAIMS = {"C10": misaligned} | {claim: partial(changed, claim) for claim in EXPERIMENTS}
