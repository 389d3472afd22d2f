"""95 % bootstrap intervals over independent units: scenes or images."""

from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A measured value with its 95 % interval."""

    value: float
    low: float
    high: float


def ratio(numerator: np.ndarray, denominator: np.ndarray, resamples: int = 2000) -> Interval:
    """Ratio of the means of two paired measurements [N], resampling the N units together.

    Raises ValueError if the arrays are empty, differ in shape or have several dimensions.
    """
    if numerator.ndim != 1 or numerator.shape != denominator.shape or not len(numerator):
        raise ValueError(
            f"measurements must be [N] with N > 0, not {numerator.shape} and {denominator.shape}"
        )
    chosen = np.random.default_rng(0).integers(len(numerator), size=(resamples, len(numerator)))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = numerator.mean() / denominator.mean()
        low, high = np.nanpercentile(
            numerator[chosen].mean(1) / denominator[chosen].mean(1), (2.5, 97.5)
        )
    return Interval(float(value), float(low), float(high))


def mean(values: np.ndarray, resamples: int = 2000) -> Interval:
    """Mean of N measurements [N]. Raises ValueError as `ratio` does."""
    return ratio(values, np.ones_like(values, dtype=float), resamples)


def mean_over(values: np.ndarray, units: np.ndarray, resamples: int = 2000) -> Interval:
    """Mean of N measurements [N], resampling the units they belong to.

    units: [N] names; measurements of one unit, such as crops of one photograph, resemble each other
        and are drawn together. Raises ValueError as `band` does.
    """
    value, low, high = band(values[:, None], units, resamples)[:, 0]
    return Interval(float(value), float(low), float(high))


def band(values: np.ndarray, units: np.ndarray, resamples: int = 2000) -> np.ndarray:
    """Means, lower and upper bounds [3, K] of N measurements of K quantities [N, K].

    units: as for `mean_over`. Raises ValueError if there is nothing to resample: fewer than two
        units, or not one per measurement.
    """
    names, place = np.unique(units, return_inverse=True)
    if values.ndim != 2 or len(values) != len(units) or len(names) < 2:
        raise ValueError(
            "an interval needs measurements [N, K] of at least 2 units, "
            f"not {values.shape} of {len(names)} units"
        )
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, place, values)
    sizes = np.bincount(place)
    generator = np.random.default_rng(0)
    times = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), resamples)
    means = (times @ sums) / (times @ sizes)[:, None]
    return np.vstack([values.mean(0), np.percentile(means, (2.5, 97.5), axis=0)])
