"""15_claims: the verdict on every claim, measured numbers beside the paper's, the table."""

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from pydantic import BaseModel

from vzlib.plotting.style import TEXT, look, styled
from vzlib.plotting.table import SavedTable, save_table
from vzlib.statistics.verdict import RULE, VERDICTS

TILE = 0.86  # of the distance from one claim to the next


@styled
def figure(
    ledger: pd.DataFrame, numbers: pd.DataFrame, models: Mapping[str, pd.Series] | None = None
) -> Figure:
    """A tile for every claim, by section of the paper; below, measured numbers and the paper's.

    ledger: of `ledger.table`. models: verdicts of it by model, as `ledger.verdicts` gives them;
    those behind the first are strips at the foot of each tile. numbers: `comparable` rows of it,
    a panel for each unit; bars are 95 % intervals, stars the paper's numbers.
    """
    sections = ledger["section"].drop_duplicates().sort_values(key=_order).tolist()
    units = list(dict.fromkeys(numbers["unit"]))
    strips = dict(list((models or {}).items())[1:])
    tiles = (0.34 + 0.12 * len(strips)) * len(sections) + 0.35
    most = int(numbers["unit"].value_counts().max()) if units else 0
    below = 0.24 * most + 0.7 if units else 0.0
    drawn = Figure(figsize=(TEXT, tiles + below + 0.35))
    grid = drawn.add_gridspec(2 if units else 1, max(len(units), 1),
                               height_ratios=[tiles, below] if units else [tiles])  # fmt: skip
    axes = drawn.add_subplot(grid[0, :])
    _tiles(axes, ledger, sections, strips)
    if models and strips:
        axes.set_title(f"{axes.get_title(loc='left')}: {next(iter(models))}, and in the strips "
                       f"below {', '.join(strips)}")  # fmt: skip
    for number, unit in enumerate(units):
        _numbers(drawn.add_subplot(grid[1, number]), numbers[numbers["unit"] == unit], unit)
    handles = [_handle(name) for name in VERDICTS]
    drawn.legend(handles, VERDICTS, loc="outside lower center", ncols=len(VERDICTS))
    return drawn


def _order(sections: pd.Series) -> pd.Series:
    """The paper's order, the summary last."""
    first = {"Abstract": "0", "summary": "Z"}
    return sections.map(lambda name: first.get(name, "A" if name.startswith("Sec") else "B") + name)


def _tiles(
    axes: Axes, ledger: pd.DataFrame, sections: list[str], strips: Mapping[str, pd.Series]
) -> None:
    widest, strip = 0, 0.26 * TILE / max(len(strips), 1)
    high = TILE - strip * len(strips)
    for place, section in enumerate(sections):
        rows: Any = ledger[ledger["section"] == section].itertuples()
        for column, row in enumerate(rows):
            ink = _tile(axes, row.verdict, column, place, high)
            middle, marker = column + TILE / 2, look(row.verdict).marker
            axes.text(middle, place + 0.35 * high, row.claim, color=ink, fontsize=6.5, ha="center",
                      va="center")  # fmt: skip
            axes.plot(middle, place + 0.74 * high, marker, color=ink, markersize=2.8)
            for number, verdicts in enumerate(strips.values()):
                other, top = verdicts[row.Index], place + high + number * strip
                ink = _tile(axes, other, column, top, strip)
                axes.plot(middle, top + strip / 2, look(other).marker, color=ink, markersize=2)
            widest = max(widest, column + 1)
    axes.set(xlim=(-0.1, widest), ylim=(len(sections), -0.1))
    axes.set_yticks([place + TILE / 2 for place in range(len(sections))], sections)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_title("verdict on every claim, by where the paper makes it")


def _tile(axes: Axes, verdict: str, left: float, top: float, height: float) -> str:
    """Draws what was found, and says in which colour to write on it."""
    drawn = look(verdict)
    filled = drawn.line == "-"
    axes.add_patch(Rectangle(
        (left, top), TILE, height, facecolor=drawn.colour if filled else "white",
        edgecolor=drawn.colour, linestyle=drawn.line, linewidth=0.8,
    ))  # fmt: skip
    return "white" if filled else "#444444"


def _numbers(axes: Axes, rows: pd.DataFrame, unit: str) -> None:
    row: Any
    for place, row in enumerate(rows.itertuples()):
        drawn = look(row.verdict)
        axes.errorbar(row.value, place, xerr=[[row.value - row.low], [row.high - row.value]],
                      linestyle="none", marker=drawn.marker, color=drawn.colour)  # fmt: skip
        axes.plot(row.paper, place, "*", color="black", markersize=6, zorder=3)
    axes.set_yticks(range(len(rows)), rows["claim"])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(unit)
    axes.set_title("measured, and the paper's (star)")


def _handle(verdict: str) -> Line2D:
    drawn = look(verdict)
    return Line2D([], [], color=drawn.colour, marker=drawn.marker, linestyle="")


def table(ledger: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """The ledger as a table. ledger: of `ledger.table`."""
    columns: dict[str, str | Callable[..., str]] = {
        "": "{claim}",
        "claim": "{says}",
        "where": "{where}",
        "the paper's": "{paper}",
    }
    columns |= {"measured": "{measured}", "n": "{n} {data}", "verdict": "{verdict}"}
    others = [name for name in map(str, ledger) if name.startswith(("measured ", "verdict "))]
    columns |= {name: itemgetter(name) for name in others}
    columns |= {"rule": "{rule}", "model": "{model}", "note": "{note}", "command": "{command}"}
    caption = f"Every claim beside what was measured of it, with 95 % intervals. {RULE}"
    return save_table(ledger, "15_claims_table", settings, columns, caption=caption)
