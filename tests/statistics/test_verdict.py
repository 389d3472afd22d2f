"""The rules by which an interval decides on a claim."""

import pytest

from vzlib.statistics.intervals import Interval
from vzlib.statistics.verdict import above, below, in_words, reaches

HIGH, LOW, ACROSS, EXACT = (2, 1.1, 3), (0, -1, 0.9), (1, 0.5, 1.5), (1, 1, 1)
UNKNOWN = (float("nan"),) * 3


@pytest.mark.parametrize(
    ("rule", "decisions"),
    [
        (above, ("found", "opposite", "not found", "not found")),
        (below, ("opposite", "found", "not found", "not found")),
        (reaches, ("found", "not found", "not found", "found")),
    ],
)
def test_a_claim_is_decided_by_the_whole_interval(rule, decisions):
    intervals = (HIGH, LOW, ACROSS, EXACT)
    assert tuple(rule(Interval(*each), 1) for each in intervals) == decisions
    assert rule(Interval(*UNKNOWN), 1) == "not measurable here"


def test_a_rule_is_told_in_words():
    assert in_words(reaches, 94.0) == "whole interval at least 94"
    with pytest.raises(ValueError, match="no rule; allowed: above, below, reaches"):
        in_words(max, 0)
