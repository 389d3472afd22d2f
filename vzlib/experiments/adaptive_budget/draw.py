"""14_adaptive_budget: attention curves, what rules give by them, and what that gains."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import BaseModel

from vzlib.experiments.adaptive_budget.tell import FIXED, POOLED, SPREAD
from vzlib.plotting.style import BAND, TEXT, look, styled
from vzlib.plotting.table import SIGNED, SavedTable, p_value, save_table

BLUE, BLACK = "#0072B2", "#000000"
# By what a rule is compared with: colour, marker, place beside the rule's name.
AGAINST = {FIXED: (BLACK, "o", -0.15), SPREAD: ("#D55E00", "D", 0.15)}
NAMES = {
    FIXED: "the same number for all", SPREAD: "the rule's numbers, at random",
    "mass": "mass", "threshold": "threshold", "entropy": "entropy",
    "concentration": "concentration", "rank": "effective rank", "things": "things (known)",
    "other questions": "other questions\n(known)", "hindsight": "hindsight",
}  # fmt: skip


@styled
def figure(
    curves: np.ndarray, sizes: pd.DataFrame, differences: pd.DataFrame, budget: int
) -> Figure:
    """a: attention held, by image. b: tokens that rules give at `budget`. c: what that gains.

    curves: [N, P] of `tell_rules.Images`. sizes, differences: of `tell`.
    """
    drawn = Figure(figsize=(TEXT, 2.9))
    held, given, gains = drawn.subplots(1, 3, width_ratios=(1, 1.15, 1.35))
    _held(held, curves)
    _given(given, sizes[sizes["budget"] == budget], budget)
    _gains(gains, differences[differences["budget"] == POOLED])
    for letter, axes in zip("abc", (held, given, gains), strict=True):
        axes.set_title(f"{letter}  {axes.get_title(loc='left')}")
    drawn.legend(*gains.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return drawn


def _held(axes: Axes, curves: np.ndarray) -> None:
    held = 100 * np.cumsum(curves, axis=1)
    places = np.arange(1, held.shape[1] + 1)
    low, middle, high = np.percentile(held, (10, 50, 90), axis=0)
    axes.fill_between(places, low, high, color=BLUE, alpha=BAND, lw=0)
    axes.plot(places, middle, color=BLUE)
    axes.plot(places, 100 * places / len(places), color="0.6", linewidth=0.8)
    axes.set(xlabel="most attended patches", ylabel="attention they hold (%)")
    axes.set(xlim=(0, len(places)), ylim=(0, 103))
    axes.set_title("images differ")


def _given(axes: Axes, rows: pd.DataFrame, budget: int) -> None:
    for place, row in enumerate(rows.to_dict("records")):
        axes.plot([row["least"], row["most"]], [place, place], color=BLUE, linewidth=0.8)
        axes.plot([row["low_tokens"], row["high_tokens"]], [place, place], color=BLUE, linewidth=4,
                  solid_capstyle="butt")  # fmt: skip
    axes.axvline(budget, color=look("vanilla").colour, linestyle=":", linewidth=0.9)
    _named(axes, list(rows["rule"]))
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="tokens of an image")
    axes.set_title(f"what rules give at {budget}")


def _gains(axes: Axes, rows: pd.DataFrame) -> None:
    rules = list(dict.fromkeys(rows["rule"]))
    for against, (colour, marker, shift) in AGAINST.items():
        own = rows[rows["against"] == against].set_index("rule").loc[rules]
        error = np.array([own["value"] - own["low"], own["high"] - own["value"]])
        axes.errorbar(own["value"], np.arange(len(rules)) + shift, xerr=error, linestyle="",
                      color=colour, marker=marker, markersize=3, elinewidth=0.8,
                      label=f"against {NAMES[against]}")  # fmt: skip
    axes.axvline(0, color="black", linewidth=0.7)
    _named(axes, rules)
    axes.set(xlabel="points")
    axes.set_title("what that gains")


def _named(axes: Axes, rules: list[str]) -> None:
    axes.set_yticks(range(len(rules)), [NAMES[rule] for rule in rules])
    axes.set_ylim(len(rules) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def table(differences: pd.DataFrame, sizes: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """All differences, with what each rule does. differences, sizes: of `tell`."""
    rows = differences.merge(sizes, on=["budget", "rule"], how="left")
    columns: dict[str, str | Callable[..., str]] = {
        "mean tokens": lambda row: "all" if row["budget"] == POOLED else str(row["budget"]),
        "rule": lambda row: NAMES[row["rule"]].replace("\n", " "),
        "gives": lambda row: row["words"] if isinstance(row["words"], str) else "",
        "against": lambda row: NAMES[row["against"]],
        "points": SIGNED, "p (Holm)": p_value("holm"), "n": "{n}",
        "tenth to nine tenths": "{low_tokens:.0f} to {high_tokens:.0f}",
        "with things": "{with_things:+.2f}",
    }  # fmt: skip
    caption = (
        "What is gained, in points of accuracy, by giving images different numbers of tokens at "
        "the same mean; paired by question, 95 % intervals with images as units, p corrected over "
        "the rules that look at attention alone."
    )
    return save_table(rows, "14_adaptive_budget_table", settings, columns, caption=caption)
