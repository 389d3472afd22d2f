"""02_attention_by_layer: concentration of attention against the depth of the vision tower."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vzlib.plotting.style import BAND, TEXT, look, styled

TITLES = {
    "gini": "Gini coefficient ↑",
    "normalised entropy": "normalised entropy ↓",
    "top 10 % share": "share of the top 10 % ↑",
    "effective tokens": "effective tokens ↓",
}


@styled
def attention_by_layer(profile: pd.DataFrame) -> Figure:
    """A panel per measure: mean and 95 % interval by layer, for each kind of images and rule.

    profile: of `measure.profile`. The arrows in the titles point to
    where more concentrated lies; the grey line is the layer that the language model reads.
    """
    figure = Figure(figsize=(TEXT, 2.1))
    panels = figure.subplots(1, len(TITLES), sharex=True)
    for axes, (measure, title) in zip(panels, TITLES.items(), strict=True):
        rows = profile[profile["measure"] == measure]
        read = rows.loc[rows["read"], "layer"].iloc[0]
        axes.axvline(read, color="0.8", linewidth=4, zorder=0.6, label="layer read by the LLM")
        for (kind, rule), group in rows.groupby(["images", "rule"], sort=False):
            _line(axes, str(kind), str(rule), group)
        axes.set_title(title)
        axes.set_xlabel("layer")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    handles, labels = panels[0].get_legend_handles_labels()
    order = [*range(1, len(handles)), 0]  # the lines first
    figure.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="outside lower center",
        ncols=len(order),
        fontsize=6.2,
        handlelength=2.3,
        columnspacing=1,
    )
    return figure


def _line(axes: Axes, kind: str, rule: str, group: pd.DataFrame) -> None:
    colour, line = look(kind).colour, look(rule).line
    axes.fill_between(group["layer"], group["low"], group["high"], color=colour, alpha=BAND, lw=0)
    axes.plot(
        group["layer"],
        group["value"],
        color=colour,
        linestyle=line,
        marker=look(kind).marker,
        markersize=3,
        markerfacecolor=colour if line == "-" else "white",
        label=f"{look(kind).label}, {look(rule).label}",
    )
