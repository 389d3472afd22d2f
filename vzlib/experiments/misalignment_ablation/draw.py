"""Figure 05: what text-guided selectors lose or gain by what they are offered; what they keep."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import BaseModel

from vzlib.plotting.style import TEXT, look, styled
from vzlib.plotting.table import SIGNED, Cell, SavedTable, p_value, save_table

ROWS = {
    "baseline": "all patches offered",
    "ex1": "Ex1: most attended removed",
    "ex1 random": "as many random ones removed",
    "ex2": "Ex2: most attended offered",
    "ex2 zipped": "Ex2: VisionZip's tokens offered",
    "ex2 random": "as many random ones offered",
    "visionzip": "VisionZip, no selector",
    "random": "random patches, no selector",
}
PAPER = {"Ex1": "ex1", "Ex2": "ex2"}
ALONE = "nothing"


@styled
def figure(
    effects: pd.DataFrame, overlap: pd.DataFrame, coverage: pd.DataFrame, published: pd.DataFrame
) -> Figure:
    """Effect on accuracy, dominant tokens among the kept, and things covered, a row per condition.

    effects, overlap, coverage: of `tell`; the mean over tasks is drawn, and no third panel where
    nothing is known of things. published: Table 5 of the paper.
    """
    shown = [name for name in ROWS if name in set(overlap["condition"])]
    panels = 3 if len(coverage) else 2
    drawn = Figure(figsize=(TEXT, 2.9))
    axes = drawn.subplots(1, panels, sharey=True)
    means = effects[(effects["task"] == "mean") & (effects["other"] == "baseline")]
    percent = {"percent": "value", "percent_low": "low", "percent_high": "high"}
    means = means.drop(columns=list(percent.values())).rename(
        columns={"one": "condition"} | percent
    )
    _points(axes[0], means, shown)
    axes[0].axvline(0, color="black", linewidth=0.7)
    _published(axes[0], published, shown)
    axes[0].set(xlabel="accuracy, % more than baseline")
    axes[0].set_title("a  effect on accuracy")
    bounds = {name: overlap[name] * overlap["chance"] for name in ("value", "low", "high")}
    _points(axes[1], overlap.assign(**bounds), shown)
    _chance(axes[1], overlap, shown)
    axes[1].set(xlabel="% of the kept tokens", xlim=(0, None))
    axes[1].set_title("b  dominant among the kept")
    if panels == 3:
        _points(axes[2], coverage[coverage["task"] == "mean"], shown)
        axes[2].set(xlabel="% of questions", xlim=(0, 100))
        axes[2].set_title("c  thing asked about covered")
    axes[0].set_yticks(range(len(shown)), [ROWS[name] for name in shown])
    axes[0].invert_yaxis()
    for axis in axes:
        axis.grid(False, axis="y")
    named = {}
    for axis in axes:
        named.update(dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True)))
    drawn.legend(named.values(), named.keys(), loc="outside lower center", ncols=len(named))
    return drawn


def table(effects: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """The means over tasks as a table. effects: of `tell.with_paper`."""
    columns: dict[str, Cell] = {
        "selector": "{selector}",
        "condition": "{one}",
        "against": "{other}",
    }
    columns |= {
        "points": SIGNED,
        "percent": "{percent:+.1f} [{percent_low:+.1f}, {percent_high:+.1f}]",
        "the paper's percent": "{paper:+.1f}",
        "p": p_value("p"),
        "p (Holm)": p_value("holm"),
        "n": "{n}",
    }
    caption = (
        "Effect on accuracy of what a text-guided selector is offered, mean over tasks, paired by "
        "question; 95 % intervals with images as units. The paper's percent is that of SparseVLM "
        "on TextVQA (Table 5)."
    )
    means = effects[effects["task"] == "mean"]
    return save_table(means, "05_misalignment_ablation_table", settings, columns, caption=caption)


def _points(axis: Axes, rows: pd.DataFrame, shown: list[str]) -> None:
    """Values and intervals, the selectors beside each other in the row of a condition."""
    selectors = [name for name in rows["selector"].unique() if name != ALONE]
    for selector, own in rows.groupby("selector", sort=False):
        style, shift = look("vanilla"), 0.0  # without a selector
        if selector != ALONE:
            style = look(str(selector))
            shift = 0.26 * (selectors.index(selector) - (len(selectors) - 1) / 2)
        place = [shown.index(condition) + shift for condition in own["condition"]]
        error = [own["value"] - own["low"], own["high"] - own["value"]]
        label = "no selector" if selector == ALONE else style.label
        axis.errorbar(
            own["value"],
            place,
            xerr=error,
            linestyle="none",
            marker=style.marker,
            color=style.colour,
            markerfacecolor=style.colour if style.line == "-" else "white",
            label=label,
            markersize=3.5,
        )


def _published(axis: Axes, published: pd.DataFrame, shown: list[str]) -> None:
    own = published[published["experiment"].isin(PAPER)]
    place = [shown.index(PAPER[name]) - 0.4 for name in own["experiment"]]
    axis.plot(
        own["change_percent"],
        place,
        linestyle="none",
        marker="*",
        color="black",
        markersize=6,
        zorder=3,
        label="the paper (SparseVLM, TextVQA)",
    )


def _chance(axis: Axes, overlap: pd.DataFrame, shown: list[str]) -> None:
    """A bar through each row: the share among all tokens that were offered."""
    by_row = overlap.drop_duplicates("condition")
    place = [shown.index(condition) for condition in by_row["condition"]]
    axis.vlines(
        by_row["chance"],
        [row - 0.38 for row in place],
        [row + 0.38 for row in place],
        color="0.6",
        linewidth=1.6,
        zorder=0.9,
        label="share of the offered",
    )
