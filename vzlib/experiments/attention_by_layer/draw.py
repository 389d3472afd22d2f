"""02_attention_by_layer: concentration of attention against the depth of the vision tower."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vzlib.experiments.attention_by_layer.settings import AttentionByLayer
from vzlib.plotting.style import BAND, TEXT, Look, look, looks_of_images, styled
from vzlib.plotting.table import SavedTable, save_table

TITLES = {
    "gini": "Gini coefficient ↑",
    "normalised entropy": "normalised entropy ↓",
    "top 10 % share": "share of the top 10 % ↑",
    "effective tokens": "effective tokens ↓",
}


@styled
def figure(profile: pd.DataFrame) -> Figure:
    """A panel per measure: mean and 95 % interval by layer, for each kind of images and rule.

    profile: of `tell.profile`. The arrows in the titles point to where more concentrated lies; the
    grey line is the layer that the language model reads.
    """
    drawn = Figure(figsize=(TEXT, 2.1))
    panels = drawn.subplots(1, len(TITLES), sharex=True)
    sources = looks_of_images(profile["images"].unique())
    for axes, (measure, title) in zip(panels, TITLES.items(), strict=True):
        rows = profile[profile["measure"] == measure]
        read = rows.loc[rows["read"], "layer"].iloc[0]
        axes.axvline(read, color="0.8", linewidth=4, zorder=0.6, label="layer read by the LLM")
        for (kind, rule), group in rows.groupby(["images", "rule"], sort=False):
            _line(axes, sources[str(kind)], str(rule), group)
        axes.set_title(title)
        axes.set_xlabel("layer")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    handles, labels = panels[0].get_legend_handles_labels()
    order = [*range(1, len(handles)), 0]  # the lines first
    drawn.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="outside lower center",
        ncols=len(order),
        fontsize=6.2,
        handlelength=2.3,
        columnspacing=1,
    )
    return drawn


def table(profile: pd.DataFrame, settings: AttentionByLayer) -> SavedTable:
    """Write the table of every layer, a column for each measure. profile: of `tell.profile`."""
    index = ["images", "rule", "n", "units", "layer"]
    measures = list(dict.fromkeys(profile["measure"]))
    wide = profile.pivot(index=index, columns="measure", values=["value", "low", "high"])
    wide.columns = wide.columns.map("{0[1]}_{0[0]}".format)
    columns = {"images": "{images}", "scores": "{rule}", "layer": "{layer}"}
    columns |= {
        measure: f"{{{measure}_value:.3g}} [{{{measure}_low:.3g}}, {{{measure}_high:.3g}}]"
        for measure in measures
    }
    columns |= {"images measured": "{n}", "units": "{units}"}
    caption = "Concentration of the received attention by layer; 95 % intervals over units."
    name = "02_attention_by_layer_table"
    return save_table(wide.reset_index(), name, settings, columns, caption=caption)


def _line(axes: Axes, source: Look, rule: str, group: pd.DataFrame) -> None:
    colour, line = source.colour, look(rule).line
    axes.fill_between(group["layer"], group["low"], group["high"], color=colour, alpha=BAND, lw=0)
    axes.plot(
        group["layer"],
        group["value"],
        color=colour,
        linestyle=line,
        marker=source.marker,
        markersize=3,
        markerfacecolor=colour if line == "-" else "white",
        label=f"{source.label}, {look(rule).label}",
    )
