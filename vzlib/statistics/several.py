"""Intervals that hold for several quantities at once, so that one may be picked after looking."""

from collections.abc import Mapping

from scipy.stats import norm

from vzlib.statistics.intervals import Interval


def together(interval: Interval, count: int) -> Interval:
    """A normal 95 % interval widened to one of `count` that hold together (Bonferroni)."""
    wider = float(norm.ppf(1 - 0.025 / count) / norm.ppf(0.975))
    value, low, high = interval
    return Interval(value, value - wider * (value - low), value + wider * (high - value))


def largest(intervals: Mapping[str, Interval]) -> tuple[str, Interval]:
    """Name and widened interval of the largest of several quantities.

    Raises ValueError if there are none.
    """
    name = max(intervals, key=lambda one: intervals[one].value)
    return name, together(intervals[name], len(intervals))
