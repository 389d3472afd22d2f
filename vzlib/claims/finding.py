"""What was found of one claim."""

from typing import Any, NamedTuple

from vzlib.statistics import verdict
from vzlib.statistics.intervals import NOTHING, Interval


class Finding(NamedTuple):
    """A verdict of `vzlib.statistics.verdict`, and what it rests on.

    rule: what was asked of the interval, in words.
    interval: what was measured, in `unit`, with 95 % bounds; NOTHING where nothing was.
    n: how many `data`, such as questions, are behind it.
    note: what else must be known, or why there is no measurement.
    command: what measures it, where that is not simply the notebook of the claim; where it is not
        measurable here, what measures it elsewhere, if anything does.
    model: what was measured, where that is not the model of the ledger.
    """

    verdict: str
    rule: str = ""
    interval: Interval = NOTHING
    unit: str = ""
    n: int = 0
    data: str = ""
    note: str = ""
    command: str = ""
    model: str = ""


def decided(rule: verdict.Rule, threshold: float, interval: Interval, **told: Any) -> Finding:
    """A finding by one of the rules; told: the other fields of `Finding`."""
    decision = rule(interval, threshold)
    return Finding(decision, verdict.in_words(rule, threshold), interval, **told)


def not_measurable(why: str, command: str = "") -> Finding:
    return Finding(verdict.NOT_MEASURABLE, note=why, command=command)
