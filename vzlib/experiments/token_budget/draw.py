"""06_token_budget: accuracy against visual tokens, for every method and task."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from vzlib.methods.registry import METHODS
from vzlib.plotting.style import BAND, TEXT, look, styled

EMPHASISED = ("visionzip", "random")  # with bands, so that others can be judged against them


@styled
def token_budget(accuracies: pd.DataFrame, counted: str) -> Figure:
    """A panel for the mean over tasks and one for each task.

    accuracies: of `measure.curves`. counted: what the tokens on the x axis
    are. The dotted line is the model with all tokens; the bands are 95 % intervals.
    """
    tasks = list(dict.fromkeys(["mean", *accuracies["task"]]))
    columns = 3
    height = 1.75 * -(-len(tasks) // columns) + 0.75
    figure = Figure(figsize=(TEXT, height))
    panels = figure.subplots(-(-len(tasks) // columns), columns, sharex=True, squeeze=False)
    for axes, task in zip(panels.flat, tasks, strict=False):
        _panel(axes, accuracies[accuracies["task"] == task])
        axes.set_title(f"{task} over tasks" if task == "mean" else task)
    for axes in panels.flat[len(tasks) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel("accuracy (%)")
    for axes in panels[-1]:
        axes.set_xlabel(counted)
    names = _ordered(accuracies["method"])
    figure.legend(
        [_handle(name) for name in names],
        [look(name).label for name in names],
        loc="outside lower center",
        ncols=5,
        fontsize=6.5,
    )
    return figure


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    full = rows[rows["method"] == "vanilla"].iloc[0]
    own = look("vanilla")
    axes.axhline(full["value"], color=own.colour, linestyle=":", linewidth=0.9)
    others = rows[rows["method"] != "vanilla"]
    for name in _ordered(others["method"]):
        line = others[others["method"] == name].sort_values("tokens")
        drawn = look(name)
        front = name in EMPHASISED
        if front:
            low, high = line["low"], line["high"]
            axes.fill_between(line["tokens"], low, high, color=drawn.colour, alpha=BAND, lw=0)
        axes.plot(
            line["tokens"],
            line["value"],
            color=drawn.colour,
            linestyle=drawn.line,
            marker=drawn.marker,
            markersize=3.2 if front else 2.6,
            linewidth=1.5 if front else 0.9,
            zorder=3 if front else 2,
        )
    budgets = sorted(others["budget"].unique())
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(budgets))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())


def _ordered(methods: pd.Series) -> list[str]:
    """Each method once, in the order of the registry."""
    return [name for name in METHODS if name in set(methods)]


def _handle(name: str) -> Line2D:
    drawn: Any = look(name)
    if name == "vanilla":
        return Line2D([], [], color=drawn.colour, linestyle=":", linewidth=0.9)
    return Line2D([], [], color=drawn.colour, linestyle=drawn.line, marker=drawn.marker)
