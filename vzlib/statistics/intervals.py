"""95 % intervals over independent units, such as photographs, scenes or images.

Each is the value ± Student's t times its standard error, by the spread of what single units
contribute. With few units this holds what it says where a bootstrap over units does not: of 12 to
32 photographs, with several crops each, it covers the truth in 94 to 95.5 % of simulations, a
percentile bootstrap in 90 to 93 % and a bias-corrected one no better
(`pytest -m slow tests/statistics`). Where single units lie far out on one side, as in a log-normal
distribution of shape 0.5, it is 92 to 94 %.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.stats import t


class Interval(NamedTuple):
    """A measured value with its 95 % interval."""

    value: float
    low: float
    high: float


NOTHING = Interval(math.nan, math.nan, math.nan)


def written(interval: Interval) -> str:
    """Value and bounds, with two digits behind the point for small numbers and one for others."""
    if math.isnan(interval.value):
        return ""
    digits = 1 if max(map(abs, interval)) >= 10 else 2
    value, low, high = (f"{number:.{digits}f}" for number in interval)
    return f"{value} [{low}, {high}]"


def mean(values: np.ndarray) -> Interval:
    """Mean of N measurements [N], each a unit. Raises ValueError as `ratio` does."""
    return ratio(values, np.ones_like(values, dtype=float))


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> Interval:
    """Ratio of the means of two paired measurements [N], each pair a unit.

    Raises ValueError if the arrays differ in shape, have several dimensions or fewer than two
    entries.
    """
    if numerator.ndim != 1 or numerator.shape != denominator.shape or len(numerator) < 2:
        raise ValueError(
            f"measurements must be [N] with N > 1, not {numerator.shape} and {denominator.shape}"
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        value = numerator.mean() / denominator.mean()
        share = (numerator - value * denominator) / denominator.sum()
    bounds = _around(np.array([value]), share[:, None])[:, 0]
    return Interval(*map(float, bounds))


def mean_over(values: np.ndarray, units: np.ndarray) -> Interval:
    """Mean of N measurements [N] that belong to fewer units.

    units: [N] names; measurements of one unit, such as crops of one photograph, resemble each other
        and count as one draw. Raises ValueError as `band` does.
    """
    return Interval(*map(float, band(values[:, None], units)[:, 0]))


def band(values: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Means, lower and upper bounds [3, K] of N measurements of K quantities [N, K].

    units: as for `mean_over`. Raises ValueError if there is nothing to compare: fewer than two
        units, or not one per measurement.
    """
    names, place = np.unique(units, return_inverse=True)
    if values.ndim != 2 or len(values) != len(units) or len(names) < 2:
        raise ValueError(
            "an interval needs measurements [N, K] of at least 2 units, "
            f"not {values.shape} of {len(names)} units"
        )
    middle = values.mean(0)
    shares = np.zeros((len(names), values.shape[1]))
    np.add.at(shares, place, (values - middle) / len(values))
    return _around(middle, shares)


def _around(value: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Values [K] with their bounds, [3, K].

    shares: [U, K], by how much each of U units moves the values; they sum to zero.
    """
    units = len(shares)
    error = np.sqrt(units / (units - 1) * (shares**2).sum(0))
    half = t.ppf(0.975, units - 1) * error
    return np.vstack([value, value - half, value + half])
