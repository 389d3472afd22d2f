"""Figure 04: where the attention of tokens on objects goes, measured on scenes."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vzlib.experiments.feature_misalignment.measure import TARGETS
from vzlib.experiments.feature_misalignment.tell import read_block
from vzlib.plotting.style import BAND, TEXT, look, styled

KINDS = {
    "shape": ("#0072B2", "o", "a shape"),
    "number": ("#D55E00", "^", "a number"),
    "word": ("#E69F00", "D", "a word"),
    "digit": ("#CC79A7", "P", "a digit"),
    "blank": ("#7F7F7F", "s", "a blank outline"),
}
TICKS = {
    "own object": "own\nobject",
    "other objects": "other\nobjects",
    "background": "back-\nground",
}
COLOURS = {
    "own object": ("#009E73", "o"),
    "dominant": ("#D55E00", "^"),
    "background": ("#7F7F7F", "s"),
    "CLS": ("#0072B2", "D"),
}


@styled
def figure(summary: pd.DataFrame) -> Figure:
    """Four panels: by target, by block, places of dominant tokens, distance to the most attended.

    summary: of `tell.summary`.
    """
    layer = read_block(summary)
    drawn = Figure(figsize=(TEXT, 4.6))
    targets, blocks, places, apart = drawn.subplots(
        2, 2, gridspec_kw={"width_ratios": [1.25, 1]}
    ).flat
    attention = summary[summary["quantity"] == "attention"]
    _targets(targets, attention[attention["layer"] == layer])
    _blocks(blocks, attention[attention["kind"] == "object"], layer)
    _places(places, summary[summary["quantity"] == "place"])
    _apart(apart, summary[summary["quantity"] == "distance"])
    for letter, axis in zip("abcd", (targets, blocks, places, apart), strict=True):
        axis.set_title(f"{letter}  {axis.get_title(loc='left')}")
    return drawn


def _targets(axis: Axes, rows: pd.DataFrame) -> None:
    shown = [target for target in TARGETS if target in set(rows["target"])]
    for number, (kind, (colour, marker, label)) in enumerate(KINDS.items()):
        own = rows[rows["kind"] == kind].set_index("target").reindex(shown)
        place = [i + (number - 2) * 0.13 for i in range(len(shown))]
        _points(axis, place, own, colour, marker, f"{label} (n = {own['n'].max():.0f})")
    axis.axhline(1, color="black", linewidth=0.7)
    axis.set_yscale("log")
    axis.set_xticks(range(len(shown)), [TICKS.get(target, target) for target in shown])
    axis.grid(False, axis="x")
    axis.set(ylabel="attention per token,\ntimes an even share")
    axis.set_title(f"block {rows['layer'].max()}: where tokens on a thing look")
    axis.legend(
        loc="upper left", ncols=2, bbox_to_anchor=(0, -0.2), handletextpad=0.2, columnspacing=1
    )


def _blocks(axis: Axes, rows: pd.DataFrame, layer: int) -> None:
    for target, (colour, marker) in COLOURS.items():
        own = rows[rows["target"] == target].sort_values("layer")
        if own.empty:
            continue
        axis.plot(own["layer"], own["value"], color=colour, marker=marker, label=target)
        axis.fill_between(
            own["layer"], own["low"], own["high"], color=colour, alpha=BAND, linewidth=0
        )
    axis.axhline(1, color="black", linewidth=0.7)
    axis.axvline(layer, color="black", linewidth=0.6, linestyle=":")
    axis.set_yscale("log")
    axis.set(xlabel="block of the tower", ylabel="times an even share")
    axis.set_title("the same for all objects, by block")
    axis.legend(loc="upper left", ncols=2, bbox_to_anchor=(0, -0.2), handlelength=1.2)


def _places(axis: Axes, rows: pd.DataFrame) -> None:
    budgets = sorted(rows["retained"].unique())
    for number, target in enumerate(("background", "periphery")):
        own = rows[rows["target"] == target].sort_values("retained")
        place = [i + number * (len(budgets) + 0.6) for i in range(len(own))]
        colour = look("background").colour if target == "background" else "#E69F00"
        axis.bar(place, own["share"], color=colour, width=0.7)
        error = [
            own["share"] - own["expected"] * own["low"],
            own["expected"] * own["high"] - own["share"],
        ]
        axis.errorbar(place, own["share"], error, fmt="none", color="black", linewidth=0.8)
        ends = [place[0] - 0.45, place[-1] + 0.45]
        axis.plot(ends, [own["expected"].iloc[0]] * 2, color="black", linestyle="--", linewidth=1)
        axis.text(ends[1] + 0.05, own["expected"].iloc[0], "chance", va="center", fontsize=6.5)
    ticks = [i + number * (len(budgets) + 0.6) for number in (0, 1) for i in range(len(budgets))]
    axis.set_xticks(ticks, [str(budget) for budget in budgets] * 2)
    axis.grid(False, axis="x")
    axis.set(xlim=(-0.7, ticks[-1] + 1.4), ylim=(0, 100), ylabel="dominant tokens, %")
    axis.set_xlabel("tokens retained")
    axis.set_title("dominant tokens on background | at the border")


def _apart(axis: Axes, rows: pd.DataFrame) -> None:
    shown = rows.set_index("kind").reindex([kind for kind in KINDS if kind in set(rows["kind"])])
    for number, (kind, own) in enumerate(shown.iterrows()):
        colour, marker, _ = KINDS[str(kind)]
        ends = own["expected"] * own[["low", "high"]]
        error = [[own["share"] - ends["low"]], [ends["high"] - own["share"]]]
        axis.errorbar(own["share"], number, xerr=error, fmt=marker, color=colour)
        axis.plot([own["expected"]] * 2, [number - 0.3, number + 0.3], color="black")
    axis.set_yticks(range(len(shown)), [KINDS[str(kind)][2] for kind in shown.index])
    axis.invert_yaxis()
    axis.grid(False, axis="y")
    axis.set_xlim(left=0)
    axis.set(xlabel="patches (bar: mean distance to any)")
    axis.set_title("distance to the most attended")


def _points(
    axis: Axes, place: list[float], own: pd.DataFrame, colour: str, marker: str, label: str
) -> None:
    value = own["value"].to_numpy()
    error = [value - own["low"].to_numpy(), own["high"].to_numpy() - value]
    axis.errorbar(place, value, error, fmt=marker, color=colour, label=label, markersize=3.5)
