"""07_dominant_contextual: accuracy against the split, and the differences of all other choices."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from pydantic import BaseModel

from vzlib.plotting.style import TEXT, look, styled
from vzlib.plotting.table import SIGNED, Cell, SavedTable, p_value, save_table

RULES = {"code": look("visionzip"), "paper": look("visionzip-paper")}
MARKERS = "o^sDvP"
POOLED = "black"
THIN: dict[str, Any] = {"elinewidth": 0.8}
CHOICES = {
    ("merge rule", "mean of the group"): "merge: mean of the group",
    ("compared", "hidden states"): "compare hidden states",
    ("similarity", "dot product"): "compare by dot product",
    ("targets", "evenly spread"): "targets evenly spread",
    ("leftovers", "not merged"): "targets not merged",
    ("leftovers", "no contextual tokens"): "no contextual tokens\n(spends fewer)",
    ("CLS", "left out"): "CLS left out",
}


@styled
def figure(curve: pd.DataFrame, differences: pd.DataFrame, paper: float) -> Figure:
    """a: accuracy by split, total and merge rule. b, c: what other choices and layers change.

    curve, differences: of `tell`. paper: the share of contextual tokens in the paper's budgets.
    Bars are 95 % intervals, in b and c of paired differences.
    """
    means = curve[curve["task"] == "mean"]
    totals = sorted(differences.loc[differences["total"] > 0, "total"].unique())
    drawn = Figure(figsize=(TEXT, 4.6))
    grid = drawn.add_gridspec(2, 2, width_ratios=[1.15, 1], height_ratios=[1.2, 1])
    split, layers = (drawn.add_subplot(grid[row, 0]) for row in (0, 1))
    forest = drawn.add_subplot(grid[:, 1])
    _split(split, means, totals, paper)
    _forest(forest, differences[differences["factor"] != "layer"], totals)
    _layers(layers, differences[differences["factor"] == "layer"], totals, _read(differences))
    for letter, axis in zip("abc", (split, forest, layers), strict=True):
        axis.set_title(f"{letter}  {axis.get_title(loc='left')}")
    drawn.legend(handles=_legend(totals), loc="outside lower center", ncols=4)
    return drawn


def table(differences: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """What every choice changes, as a table. differences: of `tell`."""
    columns: dict[str, Cell] = {"tokens": "{total}", "factor": "{factor}", "instead": "{choice}"}
    columns |= {"points": SIGNED, "p": p_value("p"), "p (Holm)": p_value("holm"), "n": "{n}"}
    caption = (
        "What changes in accuracy, in percentage points, when one choice of the released method "
        "is made otherwise; paired by question, 95 % intervals with images as units."
    )
    name = "07_dominant_contextual_table"
    return save_table(differences, name, settings, columns, caption=caption)


def _split(axes: Axes, means: pd.DataFrame, totals: Sequence[int], paper: float) -> None:
    axes.axvline(100 * paper, color="0.8", linewidth=3, zorder=0.6)
    axes.text(100 * paper + 1.5, 0.02, "paper", transform=axes.get_xaxis_transform(), color="0.4")
    every = means[means["factor"] == "all tokens"]
    axes.axhline(every["value"].iloc[0], color=look("vanilla").colour, linestyle=":", linewidth=0.9)
    for number, total in enumerate(totals):
        for rule, drawn in RULES.items():
            own = means[
                (means["total"] == total)
                & (means["merge"] == rule)
                & (means["factor"] != "all tokens")
            ].sort_values("contextual")
            shift = 0.9 * (number - (len(totals) - 1) / 2) + (0.3 if rule == "paper" else 0)
            axes.errorbar(
                100 * own["share"] + shift,
                own["value"],
                _bars(own),
                **_marked(number, totals),
                linestyle=drawn.line,
                linewidth=1,
                **THIN,
                markerfacecolor=None if rule == "code" else "white",
            )
    axes.set(xlabel="contextual tokens (% of the total)", ylabel="accuracy (%)")
    axes.set_title("the split")


def _forest(axes: Axes, rows: pd.DataFrame, totals: Sequence[int]) -> None:
    found = set(zip(rows["factor"], rows["choice"], strict=True))
    shown = [choice for choice in CHOICES if choice in found]
    step = 0.7 / (len(totals) + 1)
    for place, (factor, choice) in enumerate(shown):
        own = rows[(rows["factor"] == factor) & (rows["choice"] == choice)].set_index("total")
        for number, total in enumerate([0, *totals]):
            row = own.loc[[total]]
            look_ = _pooled() if total == 0 else _marked(number - 1, totals)
            height = place - 0.35 + step * (number + 0.5)
            axes.errorbar(row["value"], [height], xerr=_bars(row), linestyle="", **THIN, **look_)
    axes.axvline(0, color="black", linewidth=0.7)
    axes.set_yticks(range(len(shown)), [CHOICES[choice] for choice in shown])
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set(xlabel="points against the released method")
    axes.set_title("one other choice at a time")


def _layers(axes: Axes, rows: pd.DataFrame, totals: Sequence[int], read: int) -> None:
    axes.axhline(0, color="black", linewidth=0.7)
    for number, total in enumerate([0, *totals]):
        own = rows[rows["total"] == total].sort_values("layer")
        look_ = _pooled() if total == 0 else _marked(number - 1, totals)
        place = own["layer"] + 0.08 * (number - len(totals) / 2)
        axes.errorbar(place, own["value"], _bars(own), linestyle="", **THIN, **look_)
    axes.axvline(read, color="0.8", linewidth=4, zorder=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
    axes.set(xlabel="layer whose attention selects (grey: the one read)", ylabel="points")
    axes.set_title("attention of another layer")


def _read(differences: pd.DataFrame) -> int:
    """The layer that is read: that by which all variants but those of other layers select."""
    return int(differences.loc[differences["factor"] != "layer", "layer"].iloc[0])


def _bars(rows: pd.DataFrame) -> np.ndarray:
    """Distances [2, N] from the values to the ends of their intervals."""
    return np.array([rows["value"] - rows["low"], rows["high"] - rows["value"]])


def _marked(number: int, totals: Sequence[int]) -> dict[str, Any]:
    """How a total is drawn."""
    colour = colormaps["viridis"](0.15 + 0.6 * number / max(1, len(totals) - 1))
    return {"color": colour, "marker": MARKERS[number % len(MARKERS)], "markersize": 3}


def _pooled() -> dict[str, Any]:
    return {"color": POOLED, "marker": "d", "markersize": 4.5}


def _legend(totals: Sequence[int]) -> list[Line2D]:
    line: Any = Line2D  # its stubs want line styles as literals
    lines = [
        line([], [], linestyle="", label=f"{total} tokens", **_marked(number, totals))
        for number, total in enumerate(totals)
    ]
    lines.append(line([], [], linestyle="", label="mean of the totals", **_pooled()))
    lines += [
        line([], [], color="0.3", linestyle=rule.line, label=f"{name} rule (a)")
        for name, rule in RULES.items()
    ]
    every = look("vanilla")
    return [*lines, line([], [], color=every.colour, linestyle=":", label=every.label + " (a)")]
