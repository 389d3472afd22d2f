"""01_redundancy: distribution of the attention per token, and how much the most attended hold."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vzlib.experiments.redundancy.settings import Redundancy
from vzlib.plotting.style import BAND, TEXT, Look, look, looks_of_images, styled
from vzlib.plotting.table import SavedTable, save_table


@styled
def figure(shares: pd.DataFrame, curves: pd.DataFrame, dominant: Sequence[int]) -> Figure:
    """Two panels: a histogram of weights, and the attention held by the k most attended tokens.

    shares: of `tell.histogram`; curves: of `tell.cumulative`.
    dominant: numbers of tokens to mark.
    """
    drawn = Figure(figsize=(TEXT, 2.5))
    left, right = drawn.subplots(1, 2, width_ratios=(1, 1))
    sources = looks_of_images(shares["images"].unique())
    for (kind, rule), own in shares.groupby(["images", "rule"], sort=False):
        edges = [*own["low"], own["high"].iloc[-1]]
        style = {"color": sources[str(kind)].colour, "linestyle": look(str(rule)).line}
        left.stairs(own["percent"], edges, linewidth=1.2, **style)
    _label_histogram(left, shares["low"].min(), shares["high"].max())
    for (kind, rule), group in curves.groupby(["images", "rule"], sort=False):
        _curve(right, sources[str(kind)], str(rule), group, dominant)
    _label_curves(right, int(curves["tokens"].max()), dominant)
    drawn.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return drawn


def table(summary: pd.DataFrame, settings: Redundancy) -> SavedTable:
    """Write the table of all numbers beside those of even attention. summary: of `tell.summary`."""
    columns = {"images": "{images}", "scores": "{rule}", "quantity": "{quantity}"}
    columns |= {"measured": "{value:.1f} [{low:.1f}, {high:.1f}]"}
    columns |= {
        "if attention were even": "{even:.1f}",
        "images measured": "{n}",
        "units": "{units}",
    }
    caption = "How unevenly attention falls on visual tokens; 95 % intervals over units."
    return save_table(summary, "01_redundancy_table", settings, columns, caption=caption)


def _label_histogram(axes: Axes, low: float, high: float) -> None:
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(bottom=0)
    axes.axvline(1, color="0.35", linewidth=0.7)
    top = axes.get_ylim()[1]
    axes.text(1.2, top, "even share", color="0.35", fontsize=6.5, va="top")
    axes.set_xlabel("attention a token receives, even share = 1")
    axes.set_ylabel("tokens per bin, %")
    axes.set_title("(a) weights of all tokens")


def _curve(
    axes: Axes, source: Look, rule: str, group: pd.DataFrame, dominant: Sequence[int]
) -> None:
    colour, line = source.colour, look(rule).line
    axes.fill_between(group["tokens"], group["low"], group["high"], color=colour, alpha=BAND, lw=0)
    axes.plot(
        group["tokens"],
        group["value"],
        color=colour,
        linestyle=line,
        marker=source.marker,
        markevery=[k - 1 for k in dominant],
        markerfacecolor=colour if line == "-" else "white",
        label=f"{source.label}, {look(rule).label}",
    )


def _label_curves(axes: Axes, count: int, dominant: Sequence[int]) -> None:
    tokens = np.arange(1, count + 1)
    axes.plot(tokens, 100 * tokens / count, color="0.6", linewidth=0.8)
    axes.text(count * 0.62, 50, "even", color="0.35", fontsize=6.5)
    axes.set_xlim(0, count)
    axes.set_ylim(0, 103)
    axes.set_xticks([0, *dominant, count])
    axes.set_xlabel("most attended tokens")
    axes.set_ylabel("share of the attention, %")
    axes.set_title("(b) attention they hold, mean and 95 % interval")
