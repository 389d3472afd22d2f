"""06_token_budget: accuracy against visual tokens, for every method and task."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter
from pydantic import BaseModel

from vzlib.methods.registry import METHODS, bare
from vzlib.plotting.style import BAND, TEXT, Look, look, looks, styled
from vzlib.plotting.table import Cell, Direction, SavedTable, p_value, save_table
from vzlib.statistics import MEAN
from vzlib.statistics.comparison import headings

EMPHASISED = ("visionzip", "random")  # with bands, so that others can be judged against them


@styled
def figure(accuracies: pd.DataFrame, counted: str) -> Figure:
    """A panel for the mean over tasks and one for each task.

    accuracies: of `tell.curves`. counted: what the tokens on the x axis are. The dotted line is the
    model with all tokens; the bands are 95 % intervals.
    """
    tasks = list(dict.fromkeys(["mean", *accuracies["task"]]))
    drawn_as = looks(_ordered(accuracies["method"]))
    columns = 3
    height = 1.75 * -(-len(tasks) // columns) + 0.75
    drawn = Figure(figsize=(TEXT, height))
    panels = drawn.subplots(-(-len(tasks) // columns), columns, sharex=True, squeeze=False)
    for axes, task in zip(panels.flat, tasks, strict=False):
        _panel(axes, accuracies[accuracies["task"] == task], drawn_as)
        axes.set_title(f"{task} over tasks" if task == "mean" else task)
    for axes in panels.flat[len(tasks) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel("accuracy (%)")
    for axes in panels[-1]:
        axes.set_xlabel(counted)
    drawn.legend(
        [_handle(name, one) for name, one in drawn_as.items()],
        [one.label for one in drawn_as.values()],
        loc="outside lower center",
        ncols=5,
        fontsize=6.5,
    )
    return drawn


def table(rows: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """In the style of Table 1 of the paper. rows: of `tell.with_paper`."""
    names = list(rows.columns)
    tasks = names[names.index("n") + 1 : names.index("mean")]
    columns: dict[str, Cell] = {
        "tokens": "{budget}",
        "method": "{label}",
        "at input": "{at_input:.0f}",
    }
    columns |= {"per layer": "{average:.0f}", "GFLOPs": "{gflops:.2g}"}
    others: dict[str, Cell] = {
        "mean": "{mean:.1f} [{low:.1f}, {high:.1f}]",
        "% of vanilla": "{percent:.1f} [{percent_low:.1f}, {percent_high:.1f}]",
        "the paper's %": "{paper:.1f}",
        "to VisionZip": "{difference:+.1f} [{difference_low:+.1f}, {difference_high:+.1f}]",
        "p (Holm)": p_value("p"),
    }
    shown = headings([*tasks, MEAN], {*columns, *others} - {MEAN})
    best: dict[str, tuple[str, Direction]] = {shown[task]: (task, "highest") for task in shown}
    columns |= {shown[task]: partial(_score, task) for task in tasks} | others
    best["% of vanilla"] = ("percent", "highest")
    caption = (
        "Accuracy in percent by visual tokens (per layer, on average) and method, 95 % intervals "
        "with images as units, the best of each budget in bold. The paper's percent of vanilla is "
        "that of LLaVA-1.5-7B on 11 benchmarks (Table 1)."
    )
    return save_table(
        rows.assign(label=[look(name).label for name in rows["method"]]),
        "06_token_budget_table",
        settings,
        columns,
        caption=caption,
        best=best,
        within="budget",
    )


def _score(task: str, row: Mapping[Any, Any]) -> str:
    return f"{row[task]:.1f}"


def _panel(axes: Axes, rows: pd.DataFrame, drawn_as: dict[str, Look]) -> None:
    full = rows[rows["method"] == "vanilla"].iloc[0]
    own = drawn_as["vanilla"]
    axes.axhline(full["value"], color=own.colour, linestyle=":", linewidth=0.9)
    others = rows[rows["method"] != "vanilla"]
    for name in _ordered(others["method"]):
        line = others[others["method"] == name].sort_values("tokens")
        drawn = drawn_as[name]
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
    rank = list(METHODS).index
    return sorted(dict.fromkeys(methods), key=lambda name: rank(bare(name)))


def _handle(name: str, drawn: Any) -> Line2D:
    if name == "vanilla":
        return Line2D([], [], color=drawn.colour, linestyle=":", linewidth=0.9)
    return Line2D([], [], color=drawn.colour, linestyle=drawn.line, marker=drawn.marker)
