import numpy as np
import pytest

from vzlib.statistics.intervals import Interval, band, mean_over

RANDOM = np.random.default_rng(1)


def test_the_interval_of_independent_values_is_that_of_the_normal_approximation():
    values = RANDOM.normal(size=400)
    found = mean_over(values, np.arange(400))
    half = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.value == pytest.approx(half, rel=0.15)
    assert found.value - found.low == pytest.approx(half, rel=0.15)


def test_copies_of_a_unit_do_not_narrow_the_interval():
    values = RANDOM.normal(size=20)
    once = mean_over(values, np.arange(20))
    copied = mean_over(np.repeat(values, 9), np.repeat(np.arange(20), 9))
    naive = mean_over(np.repeat(values, 9), np.arange(180))
    assert copied == pytest.approx(once)
    assert naive.high - naive.low < 0.5 * (once.high - once.low)


def test_units_of_unequal_size_weigh_by_their_size():
    found = mean_over(np.array([0.0, 0.0, 0.0, 4.0]), np.array(list("aaab")))
    assert found == Interval(1.0, 0.0, 4.0)


def test_the_band_is_the_interval_of_every_column():
    values, units = RANDOM.normal(size=(30, 3)), np.arange(30) // 2
    columns = [mean_over(values[:, k], units) for k in range(3)]
    assert np.allclose(band(values, units).T, columns)


def test_one_unit_has_no_interval():
    with pytest.raises(ValueError, match=r"at least 2 units, not .* of 1 units"):
        mean_over(np.ones(3), np.array(list("aaa")))
