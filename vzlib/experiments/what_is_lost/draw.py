"""16_what_is_lost: what share of the answers goes, and the odds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import BaseModel

from vzlib.experiments.what_is_lost.tell import WAY
from vzlib.experiments.what_is_lost.tell_odds import TASK
from vzlib.plotting.style import TEXT, Look, looks, styled
from vzlib.plotting.table import Cell, SavedTable, p_value, save_table

# By property: title, axis, and what its odds ratio is called.
PANELS = {
    "size": ("size", "patches it fills", "half the size"),
    "eccentricity": ("place", "half sides from the middle", "edge, not middle"),
    "others": ("company", "other things in the scene", "one thing more"),
    "contrast": ("contrast", "CIELAB, to what is around it", "less contrast"),
    "kept": ("kept", "of its patches", "a tenth less kept"),
    "task": ("question", "", ""),
}
KEPT = ("none", "to ½", "to all", "all")
MOST = 100.0  # odds ratios beyond it, and below one over it, end at the border


@styled
def figure(rates: pd.DataFrame, ratios: pd.DataFrame) -> Figure:
    """a to f: answers lost by property and task. g: odds ratios at the fewest tokens.

    rates, ratios: of `tell`. Bars are 95 % intervals; open marks are the budgets above the least.
    """
    drawn_as = looks(dict.fromkeys(rates["method"]))
    drawn = Figure(figsize=(TEXT, 5.4))
    grid = drawn.add_gridspec(3, 3, height_ratios=(1, 1, 1.5))
    panels = [drawn.add_subplot(grid[row, column]) for row in (0, 1) for column in (0, 1, 2)]
    for axes, name in zip(panels, PANELS, strict=True):
        _rates(axes, rates[rates["of"] == name], name, drawn_as)
    for axes in (panels[0], panels[3]):
        axes.set_ylabel("answers lost (%)")
    forest = drawn.add_subplot(grid[2, :])
    _forest(forest, ratios, drawn_as)
    for letter, axes in zip("abcdefg", [*panels, forest], strict=True):
        axes.set_title(f"{letter}  {axes.get_title(loc='left')}")
    budgets = sorted(rates["budget"].unique())
    handles = [Line2D([], [], color=one.colour, marker=_marker(one), linestyle="")
               for one in drawn_as.values()]  # fmt: skip
    handles += [Line2D([], [], color="0.3", marker="o", linestyle="", markerfacecolor=face)
                for face in ("0.3", "white")[: len(budgets)]]  # fmt: skip
    labels = [one.label for one in drawn_as.values()]
    labels += [f"{budgets[0]} tokens", " and ".join(map(str, budgets[1:])) + " tokens"][
        : len(budgets)
    ]
    drawn.legend(handles, labels, loc="outside lower center", ncols=5)
    return drawn


def _rates(axes: Axes, rows: pd.DataFrame, name: str, drawn_as: Mapping[str, Look]) -> None:
    ways = list(rows.groupby(WAY, sort=False))
    least = rows["budget"].min()
    names = list(dict.fromkeys(rows["part"])) if name == "task" else list(range(len(KEPT)))
    for number, ((method, budget), own) in enumerate(ways):
        shift = 0.5 * (number - (len(ways) - 1) / 2) / max(1, len(ways))
        if name in ("task", "kept"):
            places = np.array([names.index(part) for part in own["part"]]) + shift
        else:
            places = own["middle"].to_numpy(float)
        one = drawn_as[str(method)]
        axes.errorbar(
            places, own["value"], _bars(own), color=one.colour, marker=_marker(one),
            linestyle="" if name in ("task", "kept") else one.line, markersize=3,
            elinewidth=0.7, linewidth=0.9, markerfacecolor=None if budget == least else "white",
        )  # fmt: skip
    if name in ("task", "kept"):
        labels = list(map(str, names if name == "task" else KEPT))
        turned: dict[str, Any] = {"rotation": 25, "ha": "right"} if name == "task" else {}
        axes.set_xticks(range(len(labels)), labels, **turned)
    axes.set_ylim(0, min(105, axes.get_ylim()[1]))
    if name == "size":
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(PANELS[name][1])
    axes.set_title(PANELS[name][0])


def _forest(axes: Axes, ratios: pd.DataFrame, drawn_as: Mapping[str, Look]) -> None:
    axes.axvline(1, color="black", linewidth=0.7)
    own = ratios[(ratios["budget"] == ratios["budget"].min()) & ratios["low"].notna()]
    terms = [*dict.fromkeys(own["term"])]
    terms.sort(key=lambda term: term.startswith(TASK))  # a stable sort
    ways = list(own.groupby(["method", "held"], sort=False))
    for number, ((method, held), rows) in enumerate(ways):
        one = drawn_as[str(method)]
        shift = 0.7 * (number - (len(ways) - 1) / 2) / len(ways)
        places = [terms.index(term) + shift for term in rows["term"]]
        shown = rows[["value", "low", "high"]].clip(1 / MOST, MOST)
        axes.errorbar(
            shown["value"], places, xerr=_bars(shown), linestyle="", color=one.colour,
            marker=_marker(one), markersize=3, elinewidth=0.7,
            markerfacecolor=None if held == "nothing" else "white",
        )  # fmt: skip
    axes.set_yticks(range(len(terms)), [called(term) for term in terms])
    axes.set_ylim(len(terms) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("odds ratio of the loss, a task's against the mean of the tasks")
    axes.set_title("what makes it likely, all else alike, with fewest tokens (open: kept is held)")


def called(term: str) -> str:
    """A term of the model, as short as a figure wants it."""
    return PANELS[term][2] if term in PANELS else term.removeprefix(TASK)


def _bars(rows: pd.DataFrame) -> np.ndarray:
    """Distances [2, N] from the values to the ends of their intervals."""
    return np.array([rows["value"] - rows["low"], rows["high"] - rows["value"]])


def _marker(one: Look) -> Any:
    return one.marker


def table(ratios: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """All odds ratios. ratios: of `tell`."""
    columns: dict[str, Cell] = {
        "tokens": "{budget}",
        "method": "{method}",
        "held": "{held}",
        "odds of": "{of}",
        "ratio": "{value:.2f} [{low:.2f}, {high:.2f}]",
        "p (Holm)": p_value("holm"),
        "lost": "{lost} of {n}",
    }
    caption = (
        "Odds that an answer which all tokens give is lost with fewer, all other terms held: odds "
        "ratios of a logistic regression with 95 % intervals, errors clustered by image, p "
        "corrected over the terms of a model. Held: whether the share of the patches that were "
        "kept is one of the terms."
    )
    return save_table(ratios, "16_what_is_lost_table", settings, columns, caption=caption)
