"""Whether a measurement bears a claim out, decided the same way in every analysis."""

from vzlib.experiments.intervals import Interval

FOUND, NOT_FOUND, UNDECIDED = "found", "not found", "undecided"


def above(interval: Interval, threshold: float) -> str:
    """Does the quantity lie above a threshold? Undecided where its interval holds the threshold."""
    if interval.low > threshold:
        return FOUND
    return NOT_FOUND if interval.high < threshold else UNDECIDED
