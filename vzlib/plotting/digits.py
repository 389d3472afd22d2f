"""Numbers with the digits they deserve: the last bit of another processor changes no file."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

STEADY = 12  # significant digits that every processor agrees on
SHOWN = 4  # significant digits of a number of which nothing more is known


def steady(table: pd.DataFrame) -> pd.DataFrame:
    """Floats without their last digits, so that what lies between two texts falls one way."""
    return _each_float(table, lambda number: float(f"{number:.{STEADY}g}"))


def deserved(table: pd.DataFrame) -> pd.DataFrame:
    """Floats as they are written to a file.

    A value and its bounds are told to a hundredth of the interval's width, or up to ten times
    finer; any other number has four significant digits, and all before the point.
    """
    table = steady(table)
    rounded = _each_float(table, _significant)
    for names in bounded(list(table.columns)):
        _, low, high = (table[name] for name in names)
        if table[list(names)].dtypes.map(lambda kind: kind.kind).isin(("f", "i")).all():
            decimals = [_decimals(float(width)) for width in high - low]
            for name in names:
                pairs = zip(table[name], rounded[name], decimals, strict=True)
                rounded[name] = [
                    other if digits is None else round(float(number), digits)
                    for number, other, digits in pairs
                ]
    return rounded


def bounded(columns: Sequence[Any]) -> Iterator[tuple[str, str, str]]:
    """Columns with their bounds: value, low, high; or gain, gain_low, gain_high."""
    names = set(columns)
    for name in columns:
        if {f"{name}_low", f"{name}_high"} <= names:
            yield name, f"{name}_low", f"{name}_high"
    if {"value", "low", "high"} <= names:
        yield "value", "low", "high"


def _decimals(width: float) -> int | None:
    if not (math.isfinite(width) and width > 0):
        return None
    return max(0, 2 - math.floor(math.log10(width)))


def _significant(number: float) -> float:
    return float(f"{number:.{SHOWN}g}") if abs(number) < 10**SHOWN else float(round(number))


def _each_float(table: pd.DataFrame, change: Any) -> pd.DataFrame:
    def of(value: Any) -> Any:
        is_number = isinstance(value, float | np.floating) and math.isfinite(value)
        return change(float(value)) if is_number else value

    return table.apply(lambda column: column.map(of) if column.dtype.kind in "fO" else column)
