import numpy as np
import pytest
from statsmodels.regression.linear_model import OLS

from vzlib.statistics.intervals import NOTHING, Interval, band, mean, mean_over, ratio, written

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
    # Unit a moves the mean by -3/4, unit b by 3/4; Student's t of one degree of freedom is 12.706.
    assert found == pytest.approx((1, 1 - 12.7062 * 1.5, 1 + 12.7062 * 1.5), rel=1e-5)


def test_the_band_is_the_interval_of_every_column():
    values, units = RANDOM.normal(size=(30, 3)), np.arange(30) // 2
    columns = [mean_over(values[:, k], units) for k in range(3)]
    assert np.allclose(band(values, units).T, columns)


def test_one_unit_has_no_interval():
    with pytest.raises(ValueError, match=r"at least 2 units, not .* of 1 units"):
        mean_over(np.ones(3), np.array(list("aaa")))


def test_the_interval_is_that_of_a_regression_with_clustered_errors():
    values, units = RANDOM.normal(size=60), np.repeat(np.arange(15), 4)
    fit = OLS(values, np.ones(60)).fit(
        cov_type="cluster", cov_kwds={"groups": units, "use_correction": False}, use_t=True
    )
    found, low = mean_over(values, units), fit.conf_int()[0, 0]
    assert found.value == pytest.approx(fit.params[0])
    assert found.value - found.low == pytest.approx((found.value - low) * (15 / 14) ** 0.5)


def test_the_ratio_by_hand():
    found = ratio(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    # Units move the ratio by -1/2 and 1/2: standard error 1, times 12.706.
    assert found == pytest.approx((2, 2 - 12.7062, 2 + 12.7062), rel=1e-5)
    assert ratio(np.array([2.0, 4.0]), np.array([1.0, 2.0])) == (2, 2, 2)


@pytest.mark.parametrize(("one", "other"), [([1.0], [1.0]), ([1.0, 2.0], [1.0]), ([], [])])
def test_a_ratio_needs_two_pairs(one, other):
    with pytest.raises(ValueError, match=r"must be \[N\] with N > 1"):
        ratio(np.array(one), np.array(other))


def test_intervals_in_words():
    assert written(Interval(1, 0.5, 1.5)) == "1.00 [0.50, 1.50]"
    assert written(Interval(98.76, 90, 101)) == "98.8 [90.0, 101.0]"
    assert written(NOTHING) == ""


def crops(generator: np.random.Generator, units: int) -> tuple[np.ndarray, np.ndarray]:
    """Measurements [N] of crops of photographs, most of them alike within one, of true mean 0."""
    sizes = 4 + generator.integers(0, 3, units)  # as many of one photograph as of another, nearly
    means = np.repeat(generator.normal(size=units), sizes)
    return means + generator.normal(size=len(means)), np.repeat(np.arange(units), sizes)


def shares(generator: np.random.Generator, units: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares between 0 and 1, lopsided as those of attention are, of true mean 0.8, less that."""
    means = np.repeat(generator.beta(8, 2, units), 6)
    return means - 0.8 + 0.05 * generator.normal(size=len(means)), np.repeat(np.arange(units), 6)


@pytest.mark.slow
@pytest.mark.parametrize("drawn", [crops, shares])
@pytest.mark.parametrize("units", [12, 16, 32])
def test_coverage_over_few_units(drawn, units):
    generator, simulations = np.random.default_rng(units), 6000
    covered = 0
    for _ in range(simulations):
        _, low, high = mean_over(*drawn(generator, units))
        covered += low <= 0 <= high
    assert 0.935 <= covered / simulations <= 0.965


@pytest.mark.slow
@pytest.mark.parametrize("units", [12, 16, 32])
def test_coverage_of_means_and_ratios_of_units(units):
    generator, simulations = np.random.default_rng(units), 6000
    of_mean = of_ratio = 0
    for _ in range(simulations):
        below = generator.normal(10, 2, units)
        above = 1.5 * below + generator.normal(0, 4, units)
        _, low, high = ratio(above, below)
        of_ratio += low <= 1.5 <= high
        _, low, high = mean(below)
        of_mean += low <= 10 <= high
    for covered in (of_mean, of_ratio):
        assert 0.935 <= covered / simulations <= 0.965
