"""Figure 04: how many of the most attended patches lie beside the subject, layer by layer."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vzlib.experiments.feature_misalignment.tell_subjects import NULLS
from vzlib.plotting.style import BAND, TEXT, looks_of_images, styled

NULL_LINES = {"area": "-", "others": "--", "matched": ":"}
MOST = (("#D55E00", "o"), ("#7F7F7F", "^"))  # of few and of many most attended patches


@styled
def figure(summary: pd.DataFrame, ratios: pd.DataFrame) -> Figure:
    """A panel for each source of images, and one of what the subject's tokens depend on.

    summary, ratios: of `tell_subjects`. Bands and whiskers are 95 % intervals over units, grey
    lines what chance would give, the vertical line the layer that is read.
    """
    first = summary["rule"].iloc[0]
    chosen = summary[(summary["quantity"] == "place") & (summary["target"] == "background")]
    chosen = chosen[chosen["rule"] == first]
    sources = list(chosen["images"].unique())
    drawn = Figure(figsize=(TEXT, 2.6))
    panels = drawn.subplots(1, len(sources) + 1, squeeze=False)[0]
    for axes, source in zip(panels, sources, strict=False):
        _places(axes, chosen[chosen["images"] == source], source)
    _ratios(panels[-1], ratios)
    for axes in panels:
        axes.axvline(summary.loc[summary["read"], "layer"].iloc[0], color="0.8", lw=4, zorder=0.6)
        axes.set_xlabel("layer")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    for axes in (panels[0], panels[-1]):
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=6.2)
    return drawn


def _places(axes: Axes, rows: pd.DataFrame, source: str) -> None:
    counts = sorted(rows["tokens"].unique())[:2]
    for count, (colour, marker) in zip(counts, MOST, strict=False):
        own = rows[(rows["tokens"] == count) & (rows["against"] == "")]
        label = f"of the {count} most attended"
        axes.plot(own["layer"], own["value"], color=colour, marker=marker, ms=3, label=label)
        axes.fill_between(own["layer"], own["low"], own["high"], color=colour, alpha=BAND, lw=0)
    for null, line in NULL_LINES.items():
        own = rows[(rows["tokens"] == counts[0]) & (rows["against"] == null)]
        axes.plot(own["layer"], own["null"], color="0.35", ls=line, lw=0.9, label=NULLS[null])
    axes.set(ylim=(0, 100))
    axes.set_ylabel("on the background, %")
    axes.set_title(f"{looks_of_images([source])[source].label} ({rows['units'].max()} units)")


def _ratios(axes: Axes, ratios: pd.DataFrame) -> None:
    styles: dict[str, tuple[str, str, str]] = {
        "dominant/own": ("attention of the subject per dominant token\n/ per token of its own",
                         "-", "none"),
        "replaced": ("change of the subject, most attended few\nreplaced / as many others", "", ""),
    }  # fmt: skip
    looks: Any = looks_of_images(ratios["images"].unique())
    for (source, what), own in ratios.groupby(["images", "what"], sort=False):
        if what not in styles:
            continue
        label, line, face = styles[str(what)]
        error = [own["value"] - own["low"], own["high"] - own["value"]]
        style = {"color": looks[source].colour, "ls": line, "mfc": face or None, "lw": 0.9}
        axes.errorbar(own["layer"], own["value"], error, marker=looks[source].marker, ms=3,
                      label=f"{label}, {source}" if len(looks) > 1 else label, **style)  # fmt: skip
    axes.axhline(1, color="black", linewidth=0.7)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
    axes.set_title("ratios")
