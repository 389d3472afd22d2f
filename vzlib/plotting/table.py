"""Write a table as CSV, Markdown and LaTeX, the best of every column in bold."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel

from vzlib.plotting.digits import steady
from vzlib.plotting.latex import latex
from vzlib.plotting.save import check, csv, publish

Direction = Literal["highest", "lowest"]
Cell = str | Callable[[Mapping[Any, Any]], str]  # a format of a row's columns, or a function of it
SIGNED = "{value:+.1f} [{low:+.1f}, {high:+.1f}]"  # a cell that holds a difference
SMALLEST = 1e-16  # p-values below are known to be small, not how small
BEST: dict[str, Literal["max", "min"]] = {"highest": "max", "lowest": "min"}
BOLD = {"html": "font-weight: bold", "latex": "textbf:--rwrap"}
SPECIAL = {letter: f"\\{letter}" for letter in "&%$#_{}"}
ESCAPED = str.maketrans(
    {**SPECIAL, "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


def p_value(column: str) -> Callable[[Mapping[Any, Any]], str]:
    """A cell that holds a p-value of `column`: two digits, and no zero where it is too small."""

    def cell(row: Mapping[Any, Any]) -> str:
        p = row[column]
        if pd.isna(p):
            return ""
        return f"{p:.2g}" if p >= SMALLEST else f"<{SMALLEST}"

    return cell


@dataclass(frozen=True)
class SavedTable:
    """A table as it is shown: cells are texts, `best` says which are bold."""

    cells: pd.DataFrame
    best: pd.DataFrame

    def _repr_html_(self) -> str:
        return _styled(self, "html").to_html()


def save_table(
    rows: pd.DataFrame,
    name: str,
    settings: BaseModel,
    columns: Mapping[str, Cell],
    *,
    caption: str,
    best: Mapping[str, tuple[str, Direction]] | None = None,
    within: str | None = None,
) -> SavedTable:
    """Write `<name>.csv` (all of `rows`), `<name>.md` and `<name>.tex` (booktabs), as
    wide and long as a page.

    columns: what is shown, heading by heading, as a format of the columns of `rows`, such as
        {"accuracy, %": "{value:.1f} [{low:.1f}, {high:.1f}]"}. A cell for which one of its values
        is missing stays empty. Or a function from a row to the cell, for columns of any name.
    best: by heading, the column of `rows` that decides, and in which direction it is good.
    within: the column of `rows` within each of whose values there is a best; else one in all.

    Raises ValueError for a name that is no plain file name, KeyError for a column not in `rows`.
    """
    check(name)
    shown = {name: [_cell(form, row) for row in _records(rows)] for name, form in columns.items()}
    cells = pd.DataFrame(shown, dtype=object)  # texts, also where there are none
    bold = pd.DataFrame(False, index=cells.index, columns=cells.columns)
    for heading, (column, direction) in (best or {}).items():
        bold[heading] = _is_best(rows.reset_index(drop=True), column, direction, within)
    table = SavedTable(cells, bold)
    marked = cells.mask(bold, "**" + cells + "**").map(
        lambda text: re.sub(r"[|<]", r"\\\g<0>", text)
    )
    files: dict[str, str | bytes] = {
        f"{name}.csv": csv(rows),
        f"{name}.md": f"{marked.to_markdown(index=False, disable_numparse=True)}\n\n{caption}\n",
        f"{name}.tex": latex(_styled(table, "latex"), name, caption.translate(ESCAPED)),
    }
    publish(name, {file: _bytes(text) for file, text in files.items()}, settings, caption=caption)
    return table


def _records(rows: pd.DataFrame) -> list[dict[Any, Any]]:
    return steady(rows).to_dict("records")


def _cell(form: Cell, row: Mapping[Any, Any]) -> str:
    if callable(form):
        return form(row)
    present = {name: value for name, value in row.items() if not pd.isna(value)}
    try:
        return form.format_map(present)
    except KeyError as missing:
        if missing.args[0] in row:
            return ""
        raise


def _is_best(
    rows: pd.DataFrame, column: str, direction: Direction, within: str | None
) -> pd.Series:
    groups = rows[within] if within else pd.Series(0, rows.index)
    return rows[column] == rows.groupby(groups)[column].transform(BEST[direction])


def _styled(table: SavedTable, kind: Literal["html", "latex"]) -> Any:
    style = table.cells.style.hide(axis="index")
    style = style.format(escape=kind).format_index(escape=kind, axis=1)
    return style.apply(lambda _: table.best.map(lambda bold: BOLD[kind] if bold else ""), axis=None)


def _bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode()
