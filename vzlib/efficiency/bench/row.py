"""One line of the benchmark: a ratio, its interval, and the bar that it must pass."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from vzlib.efficiency import timing
from vzlib.statistics.intervals import NOTHING, Interval

PASSED, MISSED, BETWEEN = "passed", "missed", "within noise"
STATED, NOISY, NOT_MEASURED = "stated", "too noisy", "not measured"


class Bar(NamedTuple):
    """What a value must be: `at_least` or `at_most` so much."""

    at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        sides = (("≥", self.at_least), ("≤", self.at_most))
        return " ".join(f"{sign} {value:g}" for sign, value in sides if value is not None)


class Row(NamedTuple):
    """One measured value.

    group: what `--only` takes. what: the ratio in words. n: rounds.
    outcome: "passed" if the whole interval is on the right side of the bar, "missed" if it is on
        the wrong one, "within noise" if it holds the bar; "stated" without a bar; "too noisy" where
        times scatter too widely; "not measured", with the command that measures it.
    details: medians (ms), memory or the command behind it.
    """

    group: str
    what: str
    value: Interval
    bar: str
    outcome: str
    n: int
    details: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON, where there is no NaN."""
        bounds = {
            name: None if np.isnan(value) else round(value, 4)
            for name, value in self.value._asdict().items()
        }
        return self._asdict() | {"value": bounds.pop("value"), **bounds}


def ratio(
    group: str,
    what: str,
    times: pd.DataFrame,
    numerator: str,
    denominator: str,
    bar: Bar | None = None,
    stages: tuple[str, ...] = (),
    over: float = 1.0,
    calls: int = 1,
) -> Row:
    """The row of two variants' times, of the named stages or of all.

    over: divides the ratio, such as by the ratio of the FLOPs.
    calls: that were timed together; the details are of one.
    """
    slow, fast = (timing.by_round(times, name, stages) for name in (numerator, denominator))
    medians = [float(np.median(own)) * 1e3 / calls for own in (slow, fast)]
    details = f"{numerator} {medians[0]:.4g} ms, {denominator} {medians[1]:.4g} ms"
    try:
        found = timing.ratio(slow, fast)
    except timing.TooNoisy as error:
        return Row(group, what, NOTHING, str(bar or ""), NOISY, len(slow), f"{details}; {error}")
    value = Interval(*(bound / over for bound in found))
    return Row(group, what, value, str(bar or ""), _outcome(value, bar), len(slow), details)


def counted(group: str, what: str, value: float, details: str, bar: Bar | None = None) -> Row:
    """The row of something that is counted and not sampled, such as memory."""
    exact = Interval(value, value, value)
    return Row(group, what, exact, str(bar or ""), _outcome(exact, bar), 1, details)


def not_measured(group: str, what: str, bar: Bar | None = None) -> Row:
    """The row of what needs a GPU where there is none."""
    command = f"vzlib bench --device cuda {group}"
    return Row(group, what, NOTHING, str(bar or ""), NOT_MEASURED, 0, command)


def table(rows: list[Row]) -> str:
    """The rows as text."""
    cells = [
        (
            row.group,
            row.what,
            ""
            if np.isnan(row.value.value)
            else f"{row.value.value:.3g} [{row.value.low:.3g}, {row.value.high:.3g}]",
            row.bar,
            row.outcome,
            str(row.n),
            row.details,
        )
        for row in rows
    ]
    names = ["row", "what", "value [95 %]", "bar", "outcome", "n", "details"]
    return str(pd.DataFrame(cells, columns=names).to_markdown(index=False, disable_numparse=True))


def _outcome(value: Interval, bar: Bar | None) -> str:
    if bar is None:
        return STATED
    sides: Mapping[float | None, tuple[bool, bool]] = {
        bar.at_least: (value.low >= (bar.at_least or 0), value.high < (bar.at_least or 0)),
        bar.at_most: (value.high <= (bar.at_most or 0), value.low > (bar.at_most or 0)),
    }
    checks = [found for limit, found in sides.items() if limit is not None]
    if all(passed for passed, _ in checks):
        return PASSED
    return MISSED if any(missed for _, missed in checks) else BETWEEN
