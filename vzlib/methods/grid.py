"""A number of places spread evenly over an image, whatever the number."""

from math import isqrt, sqrt

from vzlib.tokens import BudgetError


def shape_of(patches: int, grid: tuple[int, int] | None = None) -> tuple[int, int]:
    """Rows and columns of an image: those known, else of a square.

    Raises ValueError if nothing is known and the patches form no square.
    """
    if grid is not None:
        return grid
    side = isqrt(patches)
    if side * side != patches:
        raise ValueError(f"{patches} patches do not form a square, which an even grid needs")
    return side, side


def columns_by_row(shape: tuple[int, int], retain: int) -> list[int]:
    """Number of places in each row of an even grid with `retain` places in all.

    shape: rows and columns of the image. In a square one as many rows as columns if `retain` is a
    square number, else some rows hold one place more; in others as far apart as columns are, as
    nearly as it goes. No more rows and columns than there are. Raises BudgetError if there are not
    so many places.
    """
    high, wide = shape
    if not 1 <= retain <= high * wide:
        raise BudgetError(f"retain={retain} must be between 1 and {high * wide} patches")
    rows = isqrt(retain) if high == wide else round(sqrt(retain * high / wide))
    rows = min(high, retain, max(rows, -(-retain // wide), 1))
    return [retain * (row + 1) // rows - retain * row // rows for row in range(rows)]
