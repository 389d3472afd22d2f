"""Intervals for several quantities at once."""

import numpy as np
import pytest

from vzlib.statistics.intervals import Interval
from vzlib.statistics.several import largest, together


def test_an_interval_for_several_is_wider_on_both_sides():
    wider = 2.2414 / 1.9600  # of the normal distribution, for two and for one
    assert together(Interval(10, 8, 13), 2) == pytest.approx(
        (10, 10 - 2 * wider, 10 + 3 * wider), rel=1e-4
    )
    assert together(Interval(10, 8, 13), 1) == pytest.approx((10, 8, 13))


def test_the_largest_is_named_with_an_interval_for_all():
    found = {"a": Interval(1, 0, 2), "b": Interval(3, 2, 4), "c": Interval(-9, -10, -8)}
    assert largest(found) == ("b", together(found["b"], 3))


def test_the_largest_of_several_is_covered():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):  # the truth is 0 everywhere: the largest of five looks better than it is
        values = generator.normal(size=5)
        _, interval = largest(
            {str(n): Interval(v, v - 1.96, v + 1.96) for n, v in enumerate(values)}
        )
        covered += interval.low <= 0
    assert covered / 2000 >= 0.97  # of 97.5 % that lie below on one side
