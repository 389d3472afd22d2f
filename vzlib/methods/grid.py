"""A number of places spread evenly over a square image, whatever the number."""

from math import isqrt

from vzlib.tokens import BudgetError


def side_of(patches: int) -> int:
    """Patches along one side of a square image. Raises ValueError if they form no square."""
    side = isqrt(patches)
    if side * side != patches:
        raise ValueError(f"{patches} patches do not form a square, which an even grid needs")
    return side


def columns_by_row(side: int, retain: int) -> list[int]:
    """Number of places in each row of an even grid with `retain` places in all.

    As many rows as columns if `retain` is a square number, else some rows hold one place more; no
    more than `side` rows and columns. Raises BudgetError if there are not so many places.
    """
    if not 1 <= retain <= side * side:
        raise BudgetError(f"retain={retain} must be between 1 and {side * side} patches")
    rows = max(isqrt(retain), -(-retain // side))
    return [retain * (row + 1) // rows - retain * row // rows for row in range(rows)]
