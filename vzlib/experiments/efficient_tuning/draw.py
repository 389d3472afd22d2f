"""09_efficient_tuning: accuracy before and after, with all tokens, and the course of the tuning."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter
from pydantic import BaseModel

from vzlib.experiments.efficient_tuning.measure import UNTUNED
from vzlib.plotting.style import BAND, TEXT, Look, look, styled
from vzlib.plotting.table import SIGNED, Cell, SavedTable, p_value, save_table
from vzlib.statistics import MEAN

LINES = ("-", "--", "-.", ":")
SMOOTH = 9  # steps that a point of a loss curve is the mean of


@styled
def figure(
    accuracies: pd.DataFrame, whole: pd.DataFrame, tunings: pd.DataFrame, data: str
) -> Figure:
    """Accuracy against tokens; what tuning changes with all tokens; the loss, step by step.

    accuracies: of `tell.curves`. whole: of `tell.with_all`. tunings: of `measure.tune`. data: those
    that match. Bands and bars are 95 % intervals, the dotted line the model with all its tokens.
    """
    drawn = Figure(figsize=(TEXT, 2.5))
    first, second, third = drawn.subplots(1, 3)
    means = accuracies[accuracies["task"] == MEAN]
    _accuracy(first, means, data)
    _whole(second, whole, data)
    _loss(third, tunings[tunings["data"] == data])
    handles, labels = first.get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return drawn


def _accuracy(axes: Axes, means: pd.DataFrame, data: str) -> None:
    own = means[means["data"] == UNTUNED]
    everything = own["budget"].max()
    full = own.loc[own["budget"] == everything, "value"].iloc[0]
    black = look("vanilla").colour
    axes.axhline(full, color=black, linestyle=":", linewidth=0.9, label="all tokens")
    asked = means[(means["data"] == UNTUNED) | (means["tuned_for"] == means["budget"])]
    asked = asked[asked["budget"] < everything]
    others = _others(asked["data"], data)
    for name, line in asked.sort_values("budget").groupby("data", sort=False):
        style = _look(str(name), data, others)
        axes.fill_between(line["budget"], line["low"], line["high"], color=style.colour,
                          alpha=BAND, lw=0)  # fmt: skip
        axes.plot(line["budget"], line["value"], color=style.colour, linestyle=style.line,
                  marker=style.marker, label=style.label)  # fmt: skip
    _by_tokens(axes, sorted(asked["budget"].unique()))
    axes.set(xlabel="visual tokens", ylabel="accuracy (%)")
    axes.set_title("a  with fewer tokens")


def _whole(axes: Axes, whole: pd.DataFrame, data: str) -> None:
    axes.axhline(0, color=look("vanilla").colour, linewidth=0.7)
    others = _others(whole["data"], data)
    for number, (name, line) in enumerate(whole.groupby("data", sort=False)):
        style = _look(str(name), data, others)
        place = line["budget"] * 1.06**number  # beside each other
        error = [line["value"] - line["low"], line["high"] - line["value"]]
        axes.errorbar(place, line["value"], yerr=error, linestyle="none", color=style.colour,
                      marker=style.marker)  # fmt: skip
    _by_tokens(axes, sorted(whole["budget"].unique()))
    axes.set(xlabel="tokens it was tuned for", ylabel="points against its own")
    axes.set_title("b  the tuned projector, all tokens")


def _loss(axes: Axes, tunings: pd.DataFrame) -> None:
    colour = look("matching").colour
    for line, (budget, own) in zip(LINES, tunings.groupby("budget", sort=False), strict=False):
        smooth = own["loss"].rolling(SMOOTH, min_periods=1).mean()
        axes.plot(own["step"], smooth, color=colour, linestyle=line, label=f"{budget} tokens")
    axes.set(xlabel="step", ylabel=f"loss, mean of {SMOOTH} steps")
    axes.set_title("c  tuning on matching data")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.3 * (high - low))  # room for the legend
    axes.legend(loc="upper center", ncols=2, columnspacing=1)


def table(gained: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """The ‡ rows of Table 1. gained: of `tell.gains`."""
    columns: dict[str, Cell] = {
        "tokens": "{budget}",
        "tuned on": "{data}",
        "before": "{before:.1f}",
        "after": "{after:.1f}",
        "points": SIGNED,
        "p (Holm)": p_value("p"),
        "% of what was lost": "{recovered:.0f} [{recovered_low:.0f}, {recovered_high:.0f}]",
        "% of all tokens": "{kept:.1f} [{kept_low:.1f}, {kept_high:.1f}]",
        "the paper's before": "{paper_before:.1f}",
        "the paper's after": "{paper_after:.1f}",
        "reached": "{verdict}",
        "n": "{n}",
    }
    caption = (
        "Accuracy in percent, mean over tasks, before and after tuning the projector alone, at the "
        "budget that it was tuned for; points and percentages are paired by question, with 95 % "
        "intervals and images as units. The paper's are percent of vanilla of LLaVA-1.5-7B "
        "(Table 1, without and with ‡); reached is found if the whole interval of what is kept "
        "does."
    )
    return save_table(gained, "09_efficient_tuning_table", settings, columns, caption=caption)


def _others(names: pd.Series, data: str) -> list[str]:
    return [name for name in names.unique() if name not in (UNTUNED, data)]


def _look(name: str, data: str, others: list[str]) -> Look:
    if name == UNTUNED:
        return look("untuned")
    if name == data:
        return look("matching")
    other = look("other")
    if len(others) == 1:
        return other
    return other._replace(label=f"{other.label}: {name.rpartition('/')[2]}",
                          line=LINES[1 + others.index(name) % (len(LINES) - 1)])  # fmt: skip


def _by_tokens(axes: Axes, budgets: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(budgets))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())
