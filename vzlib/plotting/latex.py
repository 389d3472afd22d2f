"""A table for LaTeX that fits the page: smaller letters, texts that wrap, and then several parts.

Needs the package booktabs alone. Widths are reckoned, not measured: a letter of Computer Modern is
half as wide as its size, and a little less.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from vzlib.plotting.style import COLUMN, TEXT

WIDTH, HEIGHT = 72.27 * TEXT, 550.0  # points, of a page
LETTER = 0.52  # width, for a size of 1; letters in bold are wider than half their size
LINE = 1.2  # height
SIZES = (("normalsize", 10, 6), ("small", 9, 4), ("footnotesize", 8, 3))  # points; the last: around
LONG, MOST = 30, 0.3  # letters of a text that wraps, and the part of the page that it takes


def latex(styled: Any, name: str, caption: str) -> str:
    """The table as one float, or as several if it is wider or longer than a page.

    styled: a pandas Styler whose cells and headings are texts, escaped. caption: escaped.
    Each part begins with the columns that tell the rows apart; its caption says which it is.
    """
    cells = styled.data
    size, points, around = next(
        (one for one in SIZES if _total(cells, range(cells.shape[1]), one) <= WIDTH), SIZES[-1]
    )
    look = (size, points, around)
    parts = [
        (columns, rows)
        for columns in _columns(cells, look)
        for rows in _rows(cells.iloc[:, columns], look)
    ]
    return "\n".join(
        _float(styled, columns, rows, look, name, caption, (number, len(parts)))
        for number, (columns, rows) in enumerate(parts, start=1)
    )


def _float(
    styled: Any,
    columns: Sequence[int],
    rows: range,
    look: tuple[str, int, int],
    name: str,
    caption: str,
    which: tuple[int, int],
) -> str:
    size, points, around = look
    number, parts = which
    cells = styled.data
    hidden = [heading for place, heading in enumerate(cells.columns) if place not in columns]
    left_out = [label for place, label in enumerate(cells.index) if place not in rows]
    part = copy.deepcopy(styled).hide(hidden, axis="columns").hide(left_out, axis="index")
    kinds = (_kind(cells.iloc[:, [place]], points) for place in columns)
    text: str = part.to_latex(
        hrules=True,
        caption=f"{caption} ({number} of {parts})" if parts > 1 else caption,
        label=f"tab:{name}" if number == 1 else f"tab:{name}-{number}",
        column_format="".join(kinds),
        position_float="centering",
        environment="table" if _total(cells, columns, look) <= 72.27 * COLUMN else "table*",
    )
    smaller = f"\\{size}\n\\setlength{{\\tabcolsep}}{{{around}pt}}\n"
    return text if look == SIZES[0] else text.replace("\\centering\n", f"\\centering\n{smaller}", 1)


def _columns(cells: pd.DataFrame, look: tuple[str, int, int]) -> Iterator[list[int]]:
    """Places of the columns of each part."""
    keys = list(range(_keys(cells)))
    part = list(keys)
    for place in range(len(keys), cells.shape[1]):
        if part != keys and _total(cells, [*part, place], look) > WIDTH:
            yield part
            part = list(keys)
        part.append(place)
    yield part


def _keys(cells: pd.DataFrame) -> int:
    """How many of the first columns tell the rows apart; one if even all do not."""
    for count in range(1, cells.shape[1]):
        if not cells.iloc[:, :count].duplicated().any():
            return count
    return 1


def _rows(cells: pd.DataFrame, look: tuple[str, int, int]) -> Iterator[range]:
    """Places of the rows of each part."""
    _, points, _ = look
    most = HEIGHT / (LINE * points)
    start, lines = 0, 0
    for place in range(len(cells)):
        own = max(_lines(text, points) for text in cells.iloc[place])
        if lines and lines + own > most:
            yield range(start, place)
            start, lines = place, 0
        lines += own
    yield range(start, len(cells))


def _total(cells: pd.DataFrame, columns: Sequence[int], look: tuple[str, int, int]) -> float:
    _, points, around = look
    return sum(_width(cells.iloc[:, [place]], points) + 2 * around for place in columns)


def _width(column: pd.DataFrame, points: int) -> float:
    whole = _longest(column) * LETTER * points
    return min(whole, MOST * WIDTH) if _wraps(column) else whole


def _kind(column: pd.DataFrame, points: int) -> str:
    return f"p{{{_width(column, points):.0f}pt}}" if _wraps(column) else "l"


def _wraps(column: pd.DataFrame) -> bool:
    return _longest(column) > LONG


def _longest(column: pd.DataFrame) -> int:
    return max(map(len, [column.columns[0], *column.iloc[:, 0]]))


def _lines(text: str, points: int) -> int:
    """Of a cell, if it wraps."""
    return -(-len(text) // int(MOST * WIDTH / (LETTER * points)))
