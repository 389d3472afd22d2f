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
