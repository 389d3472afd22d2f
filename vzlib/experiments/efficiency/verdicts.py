"""Claims C35 to C40 and C42 of the paper against the measured times and memory."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from vzlib import paper
from vzlib.efficiency import timing
from vzlib.experiments.efficiency.measure import INSIDE, VANILLA
from vzlib.experiments.efficiency.settings import Efficiency
from vzlib.statistics import verdict
from vzlib.statistics.intervals import Interval

MUCH = 2.0  # times as long as VisionZip's a prefill must take to be "much" slower
ZIPPED = "visionzip"
UNKNOWN = Interval(*[float("nan")] * 3)
Outcome = tuple[Interval, str] | None  # what was measured, and what it is


def verdicts(times: pd.DataFrame, costs: pd.DataFrame, settings: Efficiency) -> pd.DataFrame:
    """Which claims about efficiency hold here; the paper's 7B and 13B are the two geometries.

    C35, C36 speed: prefill and whole answer of VisionZip at 160 tokens are as many times as fast
        as with all tokens as in the paper.
    C37 others less: with the smallest budget that all can keep to, the prefill of FastV and that of
        SparseVLM take at least `MUCH` times as long as VisionZip's.
    C38 memory: FastV or SparseVLM need more memory at the peak, beyond the weights, than vanilla.
    C39 larger but faster: the larger model at 640 tokens answers faster than the smaller with all.
    C40 twice as fast: than itself with all tokens.
    C42 memory: at 320 tokens the larger needs over 20 % less at the peak, weights included.

    Columns: claim, says, paper, measured (with 95 % interval; memory is counted, not sampled),
    verdict (of `vzlib.statistics.verdict`; "not measurable here" where times scatter too widely),
    value, low, high, unit, rule (what was asked of the interval).
    Claims whose variants were not measured are left out.
    """
    told, found = paper.claims(), []
    variants: Any = costs.set_index(["geometry", "method", "budget"])
    chosen: dict[str, str | None] = {"7B": settings.geometry, "13B": settings.larger}
    measured = _Measured(times, variants, chosen, settings.limit)
    printed = {
        claim: float(str(told.loc[claim, "paper_value"]).lstrip(">"))
        for claim in ("C35", "C36", "C40", "C42")
    }
    rules: dict[str, tuple[verdict.Rule, float, Callable[[], Outcome]]] = {
        "C35": (verdict.reaches, printed["C35"], lambda: _speedup(measured, "7B", 160, "prefill")),
        "C36": (verdict.reaches, printed["C36"], lambda: _speedup(measured, "7B", 160)),
        "C37": (verdict.reaches, MUCH, lambda: _others_slower(measured)),
        "C38": (verdict.above, 1.0, lambda: _others_heavier(measured)),
        "C39": (verdict.above, 1.0, lambda: _larger_faster(measured)),
        "C40": (verdict.reaches, printed["C40"], lambda: _speedup(measured, "13B", 640)),
        "C42": (verdict.above, printed["C42"], lambda: _lighter(measured)),
    }
    for claim, (rule, threshold, measure) in rules.items():
        try:
            outcome = measure()
        except timing.TooNoisy as error:
            text, decision, value, unit = str(error), verdict.NOT_MEASURABLE, UNKNOWN, ""
        else:
            if outcome is None:
                continue
            value, unit = outcome
            decision = rule(value, threshold)
            text = f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}] {unit}"
        says = (told.loc[claim, "claim"], told.loc[claim, "paper_value"])
        asked = verdict.in_words(rule, threshold)
        found.append((claim, *says, text, decision, *value, unit, asked))
    columns = ["claim", "says", "paper", "measured", "verdict", *Interval._fields, "unit", "rule"]
    return pd.DataFrame(found, columns=columns)


class _Measured:
    """Variants by the paper's size of the model, method and budget; None stands for all tokens."""

    def __init__(self, times: Any, variants: Any, chosen: dict[str, str | None], limit: float):
        self.times, self.variants, self.chosen, self.limit = times, variants, chosen, limit

    def find(self, size: str, method: str, budget: int | None = None) -> Any:
        """The row of a variant, or None."""
        own = self.variants
        at = (own.index.get_level_values(0) == self.chosen[size]) & (
            own.index.get_level_values(1) == method
        )
        if budget is not None:
            at &= own.index.get_level_values(2) == budget
        return own[at].iloc[0] if at.any() else None

    def ratio(self, slow: Any, fast: Any, *stages: str) -> Interval:
        """Time of one variant over that of another: of a part, timed apart, or of the whole."""
        clock = self.times[self.times["apart"] == bool(stages)]
        first, second = (timing.by_round(clock, row["variant"], stages) for row in (slow, fast))
        return timing.ratio(first, second, self.limit)


def _speedup(measured: _Measured, size: str, budget: int, *stages: str) -> Outcome:
    full, zipped = measured.find(size, VANILLA), measured.find(size, ZIPPED, budget)
    if full is None or zipped is None:
        return None
    span = "prefill" if stages else "answer"
    return measured.ratio(full, zipped, *stages), f"times as fast, {span}, {_on(zipped)}"


def _others_slower(measured: _Measured) -> Outcome:
    """The slower-down of the faster of the others counts."""
    own = measured.variants.reset_index()
    own = own[own["geometry"] == measured.chosen["7B"]]
    met = own[(own["average"] - own["budget"]).abs() < 1].groupby("budget")["method"].agg(set)
    budgets = [budget for budget, names in met.items() if {ZIPPED, *INSIDE} <= names]
    if not budgets:
        return None
    zipped = measured.find("7B", ZIPPED, min(budgets))
    others = {name: measured.find("7B", name, min(budgets)) for name in INSIDE}
    ratios = {name: measured.ratio(others[name], zipped, "prefill") for name in INSIDE}
    name = min(ratios, key=lambda one: ratios[one].value)
    return ratios[name], f"times VisionZip's prefill, {name}, at {min(budgets)} tokens"


def _others_heavier(measured: _Measured) -> Outcome:
    full = measured.find("7B", VANILLA)
    own = measured.variants.reset_index()
    own = own[(own["geometry"] == measured.chosen["7B"]) & own["method"].isin(INSIDE)]
    if full is None or own.empty:
        return None
    most = own.loc[own["memory"].idxmax()]
    return _exact(most["memory"] / full["memory"]), f"of vanilla's peak, {most['method']}"


def _larger_faster(measured: _Measured) -> Outcome:
    full, zipped = measured.find("7B", VANILLA), measured.find("13B", ZIPPED, 640)
    if full is None or zipped is None:
        return None
    unit = f"times as fast as {full.name[0]} with all tokens, answer, {_on(zipped)}"
    return measured.ratio(full, zipped), unit


def _lighter(measured: _Measured) -> Outcome:
    full, zipped = measured.find("13B", VANILLA), measured.find("13B", ZIPPED, 320)
    if full is None or zipped is None:
        return None
    before, after = (row["memory"] + row["weights"] for row in (full, zipped))
    return _exact(100 * (1 - after / before)), f"% less, {_on(zipped)}"


def _exact(value: float) -> Interval:
    return Interval(float(value), float(value), float(value))


def _on(row: Any) -> str:
    return f"{row.name[0]} at {row.name[2]} tokens"
