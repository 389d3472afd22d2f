"""What is said of a claim that was put to the test, the same in every analysis.

Modules that measure do not import this one, so that a rule can change and no key with it.
"""

import math
from collections.abc import Callable

from vzlib.statistics.intervals import Interval

FOUND, NOT_FOUND, OPPOSITE = "found", "not found", "opposite"
NOT_MEASURABLE, NOT_YET = "not measurable here", "not yet measured"
VERDICTS = (FOUND, OPPOSITE, NOT_FOUND, NOT_MEASURABLE, NOT_YET)
RULE = (
    "An effect is found if its whole 95 % interval lies on the paper's side of the threshold, "
    "opposite if the whole interval lies on the other side, and not found if the interval holds "
    "the threshold; a least value is found if the whole interval reaches it, else not found."
)
Rule = Callable[[Interval, float], str]


def above(interval: Interval, threshold: float) -> str:
    """An effect that the paper expects above a threshold. Without an interval: not measurable."""
    if any(map(math.isnan, interval)):
        return NOT_MEASURABLE
    if interval.low > threshold:
        return FOUND
    return OPPOSITE if interval.high < threshold else NOT_FOUND


def below(interval: Interval, threshold: float) -> str:
    """As `above`, for an effect that the paper expects below a threshold."""
    return above(Interval(-interval.value, -interval.high, -interval.low), -threshold)


def reaches(interval: Interval, least: float) -> str:
    """A least value that the paper claims; to miss it is the opposite of nothing."""
    if any(map(math.isnan, interval)):
        return NOT_MEASURABLE
    return FOUND if interval.low >= least else NOT_FOUND


def in_words(rule: Rule, threshold: float) -> str:
    """What a rule asks of an interval.

    Raises ValueError for a function that is none of the rules above.
    """
    words = {above: "above {:g}", below: "below {:g}", reaches: "at least {:g}"}
    if rule not in words:
        allowed = ", ".join(known.__name__ for known in words)
        raise ValueError(f"{rule!r} is no rule; allowed: {allowed}")
    return f"whole interval {words[rule].format(threshold)}"
