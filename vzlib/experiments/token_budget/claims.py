"""What accuracy against tokens says of the claims: C15 to C22, C24, C29, S01, S02, Q2. Notebook 06.

The paper's percentages are means over its benchmarks on LLaVA; these are means over the tasks of
the questions that were asked, on the model that was asked.
"""

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from vzlib import paper
from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import PERCENT, Finding, decided, not_measurable
from vzlib.models.checkpoint import configuration
from vzlib.statistics import verdict
from vzlib.statistics.comparison import QUESTION, paired_difference, percent_of
from vzlib.statistics.intervals import Interval, written
from vzlib.statistics.several import largest

NOTEBOOK = "06_token_budget"
VANILLA, ZIPPED = "vanilla", "visionzip"
# By claim: at which budget VisionZip keeps how much of vanilla, and whom it beats at which.
KEEPS = {"C15": 64, "C16": 128, "C17": 192}
BEATS = {"C18": ("fastv", 64), "C19": ("sparsevlm", 64), "C20": ("fastv", 192),
         "C21": ("sparsevlm", 192)}  # fmt: skip
LARGE = ".venv/bin/vzlib reproduce 06 15 --scale paper"  # asks LLaVA-1.5-7B
POINTS = "points of accuracy"


def kept(rows: pd.DataFrame, budget: int, least: float) -> Finding:
    """How much of vanilla VisionZip keeps. rows: of `measure.measure`."""
    both = _at(rows, budget, (ZIPPED,))
    interval = percent_of(both, ZIPPED, VANILLA, "method")
    if math.isnan(interval.value):
        return not_measurable("in some task nothing is answered right with all tokens")
    return decided(verdict.reaches, least, interval, unit=PERCENT, n=_n(both), data="questions")


def lead(rows: pd.DataFrame, method: str, budget: int) -> Finding:
    """By how much VisionZip is better than another method that spends as many tokens."""
    both = _at(rows, budget, (ZIPPED, method))
    if method not in set(both["method"]):
        return not_measurable(
            f"the language model has too few layers for {method} to average {budget} tokens", LARGE
        )
    gain = paired_difference(both, ZIPPED, method, "method")
    return decided(verdict.above, 0, Interval(*gain[:3]), unit=POINTS, n=gain.n, data="questions")


def verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    """Claims C15 to C21, as far as VisionZip was measured at their budget.

    rows: of `measure.measure`.
    Columns: claim, says, paper, measured (with 95 % interval), n, verdict, note.
    """
    told, budgets = paper.claims(), set(rows.loc[rows["method"] == ZIPPED, "budget"])
    found = {claim: kept(rows, budget, _printed(claim))
             for claim, budget in KEEPS.items() if budget in budgets}  # fmt: skip
    found |= {claim: lead(rows, *pair) for claim, pair in BEATS.items() if pair[1] in budgets}
    table = [
        (claim, *told.loc[claim, ["claim", "paper_value"]],
         f"{written(one.interval)} {one.unit}".strip(), one.n, one.verdict, one.note)
        for claim, one in found.items()
    ]  # fmt: skip
    return pd.DataFrame(
        table, columns=["claim", "says", "paper", "measured", "n", "verdict", "note"]
    )


def _at(rows: pd.DataFrame, budget: int, methods: Iterable[str]) -> pd.DataFrame:
    """Answers of vanilla, and of methods at a budget."""
    own = (rows["budget"] == budget) & rows["method"].isin(tuple(methods))
    return rows[own | (rows["method"] == VANILLA)]


def _n(rows: pd.DataFrame) -> int:
    return len(rows.drop_duplicates(QUESTION))


def _printed(claim: str) -> float:
    return float(str(paper.claims().loc[claim, "paper_value"]).lstrip("<>"))


def _keeps(claim: str, budget: int, evidence: Evidence) -> Finding:
    rows = evidence.rows(NOTEBOOK, methods=(ZIPPED,), budgets=(budget,))
    return kept(rows, budget, _printed(claim))


def _beats(method: str, budget: int, evidence: Evidence) -> Finding:
    rows = evidence.rows(NOTEBOOK, methods=(ZIPPED, method), budgets=(budget,))
    return lead(rows, method, budget)


def smallest_margin(evidence: Evidence) -> Finding:
    """C22: the smallest lead over the methods of the paper, where they can spend as little."""
    leads = {
        f"over {method} at {budget} tokens": _beats(method, budget, evidence)
        for method, budget in BEATS.values()
    }
    reached = {name: one for name, one in leads.items() if one.verdict != verdict.NOT_MEASURABLE}
    if not reached:
        return not_measurable("; ".join(one.note for one in leads.values()), LARGE)
    name = min(reached, key=lambda each: reached[each].interval.value)
    one = reached[name]
    note = f"{name}, the smallest lead in the {len(reached)} of {len(leads)} settings within reach"
    return decided(verdict.reaches, _printed("C22"), one.interval, unit=POINTS, n=one.n,
                   data="questions", note=note)  # fmt: skip


def fewer_can_be_better(evidence: Evidence, budget: int = 192) -> Finding:
    """C24: does some task gain? The largest gain, with an interval for all tasks together."""
    rows = _at(evidence.rows(NOTEBOOK, methods=(ZIPPED,), budgets=(budget,)), budget, (ZIPPED,))
    gains = {
        str(task): Interval(*paired_difference(own, ZIPPED, VANILLA, "method")[:3])
        for task, own in rows.groupby("task", sort=False)
    }
    task, interval = largest(gains)
    note = f"{task}, the largest gain of {len(gains)} tasks, with an interval for all together"
    return decided(verdict.above, 0, interval, unit=f"{POINTS} over all tokens, {budget} tokens",
                   n=_n(rows[rows["task"] == task]), data="questions", note=note)  # fmt: skip


def lowest_task(evidence: Evidence, budget: int = 64) -> Finding:
    """S01: what is kept in the task that keeps the least."""
    rows = _at(evidence.rows(NOTEBOOK, methods=(ZIPPED,), budgets=(budget,)), budget, (ZIPPED,))
    tasks = {
        str(task): kept(own, budget, _printed("S01"))
        for task, own in rows.groupby("task", sort=False)
    }
    for one in tasks.values():
        if one.verdict == verdict.NOT_MEASURABLE:
            return one
    task = min(tasks, key=lambda each: tasks[each].interval.value)
    return tasks[task]._replace(note=f"{task}, the lowest of {len(tasks)} tasks")


def degrades(evidence: Evidence) -> Finding:
    """S02: is accuracy lost at the paper's count, and from which count on?"""
    least = int(_printed("S02"))
    budgets = sorted({*evidence.settings(NOTEBOOK).budgets, least}, reverse=True)
    rows = evidence.rows(NOTEBOOK, methods=(ZIPPED,), budgets=tuple(budgets))
    losses = {
        budget: paired_difference(_at(rows, budget, (ZIPPED,)), ZIPPED, VANILLA, "method")
        for budget in budgets
    }
    told = (f"{budget}: {written(Interval(*loss[:3]))}" for budget, loss in losses.items())
    return decided(verdict.below, 0, Interval(*losses[least][:3]),
                   unit=f"{POINTS} over all tokens, {least} tokens", n=losses[least].n,
                   data="questions", note=f"by tokens, {'; '.join(told)}")  # fmt: skip


def by_task(evidence: Evidence, budget: int = 64) -> Finding:
    """Q2: does one kind of question lose more than the others together?"""
    rows = _at(evidence.rows(NOTEBOOK, methods=(ZIPPED,), budgets=(budget,)), budget, (ZIPPED,))
    tasks = [str(task) for task in rows["task"].unique()]
    if len(tasks) < 2:
        return not_measurable(f"the questions are of one kind, {tasks[0]}")
    losses = {task: _loss(rows[rows["task"] == task]) for task in tasks}
    task, interval = largest({task: _loss(_against_others(rows, task)) for task in tasks})
    told = (f"{name} {written(loss)}" for name, loss in losses.items())
    return decided(verdict.above, 0, interval, n=_n(rows), data="questions",
                   unit=f"points that {task} loses more than the other tasks, {budget} tokens",
                   note=f"lost by task: {'; '.join(told)}")  # fmt: skip


def _loss(rows: pd.DataFrame) -> Interval:
    return Interval(*paired_difference(rows, VANILLA, ZIPPED, "method")[:3])


def _against_others(rows: pd.DataFrame, task: str) -> pd.DataFrame:
    """Scores weighed so that their mean over tasks is one task less the mean of the others."""
    count = rows["task"].nunique()
    weight = np.where(rows["task"] == task, count, -count / (count - 1))
    return rows.assign(score=rows["score"] * weight)


def on_13b(evidence: Evidence, budget: int = 64) -> Finding:
    """C29 differs from C15 by the model alone, so it is asked of a 13B model only."""
    config: Any = configuration(evidence.chosen.model)
    text = config.get_text_config()
    shape = (config.model_type, text.num_hidden_layers, text.hidden_size)
    if shape != ("llava", 40, 5120):
        return not_measurable(
            "needs the weights of LLaVA-1.5-13B", f"{LARGE} -p model llava-hf/llava-1.5-13b-hf"
        )
    return _keeps("C29", budget, evidence)


CLAIMS = {
    **{claim: partial(_keeps, claim, budget) for claim, budget in KEEPS.items()},
    **{claim: partial(_beats, *pair) for claim, pair in BEATS.items()},
    "C22": smallest_margin,
    "C24": fewer_can_be_better,
    "C29": on_13b,
    "S01": lowest_task,
    "S02": degrades,
    "Q2": by_task,
}
