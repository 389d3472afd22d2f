"""What was found of one claim."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import pandas as pd

from vzlib import paper
from vzlib.statistics import verdict
from vzlib.statistics.intervals import NOTHING, Interval, written

# Units, up to a comma, in which the paper's number says the same kind of thing.
PERCENT, CHANGE = "% of the accuracy with all tokens", "% change of the accuracy"
COMPARABLE = (PERCENT, CHANGE, "times as fast")


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


COLUMNS = ["claim", "says", "paper", "measured", *Interval._fields,
           *(name for name in Finding._fields if name != "interval")]  # fmt: skip


def decided(rule: verdict.Rule, threshold: float, interval: Interval, **told: Any) -> Finding:
    """A finding by one of the rules; told: the other fields of `Finding`."""
    decision = rule(interval, threshold)
    return Finding(decision, verdict.in_words(rule, threshold), interval, **told)


def not_measurable(why: str, command: str = "") -> Finding:
    return Finding(verdict.NOT_MEASURABLE, note=why, command=command)


def as_table(found: Iterable[tuple[str, Finding]]) -> pd.DataFrame:
    """A row for every pair of a claim and what was found of it, beside what the paper says.

    Columns: claim (id), says, paper (its value), measured (value and 95 % interval in words), and
    all of `Finding`, the interval as value, low and high.
    """
    told = paper.claims()
    rows = [
        {
            "claim": claim,
            "says": told.loc[claim, "claim"],
            "paper": told.loc[claim, "paper_value"],
            "measured": f"{written(one.interval)} {one.unit}".strip(),
            **one.interval._asdict(),
            **{name: value for name, value in one._asdict().items() if name != "interval"},
        }
        for claim, one in found
    ]
    return pd.DataFrame(rows, columns=COLUMNS)
