"""10_training_stage: accuracy by tokens, what a step costs, and the course of the trainings."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter
from pydantic import BaseModel

from vzlib.experiments.training_stage.measure import STEPS
from vzlib.plotting.style import BAND, TEXT, look, styled
from vzlib.plotting.table import SIGNED, SavedTable, save_table

LINES = ("-", "--", "-.", ":")
SMOOTH = 9  # steps that a point of a loss curve is the mean of


@styled
def figure(scores: pd.DataFrame, speed: pd.DataFrame, courses: pd.DataFrame) -> Figure:
    """Accuracy against tokens; time and memory of a step; the loss, step by step.

    scores: of `tell.scores`. speed: of `tell.speed`. courses: of `measure.courses`. Bands are 95 %
    intervals over seeds, whiskers over steps; the dotted line is trained and asked with all tokens.
    """
    drawn = Figure(figsize=(TEXT, 2.8))
    first, second, third = drawn.subplots(1, 3)
    _accuracy(first, scores)
    _cost(second, speed)
    _loss(third, courses[courses["same"] == STEPS])
    handles, labels = first.get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=2)
    return drawn


def _accuracy(axes: Axes, scores: pd.DataFrame) -> None:
    everything = scores["trained_with"].max()
    whole = scores[scores["trained_with"] == everything]
    full = whole.loc[whole["budget"] == everything, "value"].iloc[0]
    colour = look("vanilla").colour
    axes.axhline(full, color=colour, linestyle=":", linewidth=0.9, label="all tokens")
    lines = {"inference": whole[whole["budget"] < everything]}
    own = scores[scores["trained_with"] < everything]
    lines |= {f"same {same}": rows for same, rows in own.groupby("same", sort=False)}
    for name, rows in lines.items():
        line, style = rows.sort_values("budget"), look(name)
        axes.fill_between(line["budget"], line["low"], line["high"], color=style.colour,
                          alpha=BAND, lw=0)  # fmt: skip
        axes.plot(line["budget"], line["value"], color=style.colour, linestyle=style.line,
                  marker=style.marker, label=style.label)  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(sorted(own["budget"].unique())))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set(xlabel="visual tokens", ylabel="accuracy (%)", ylim=(0, 100))  # few seeds, wide bands
    axes.set_title("a  trained with, or inference only")


def _cost(axes: Axes, speed: pd.DataFrame) -> None:
    places = range(len(speed))
    style = look("same steps")
    error = [speed["value"] - speed["low"], speed["high"] - speed["value"]]
    axes.errorbar(places, speed["value"], yerr=error, linestyle="none", color=style.colour,
                  marker=style.marker, label="time of a step")  # fmt: skip
    black = look("vanilla")
    smaller = speed["mebibytes"].iloc[0] / speed["mebibytes"]
    axes.plot(places, smaller, linestyle="none", color=black.colour, marker=black.marker,
              label="memory of a step")  # fmt: skip
    axes.set_xticks(places, [str(budget) for budget in speed["budget"]])
    axes.set(xlabel="visual tokens", ylabel="all tokens ÷ fewer", ylim=(0, None))
    axes.set_title("b  what a step costs")
    axes.legend()


def _loss(axes: Axes, courses: pd.DataFrame) -> None:
    means = courses.groupby(["trained_with", "step"])["loss"].mean().reset_index()
    budgets = sorted(means["trained_with"].unique(), reverse=True)
    for number, budget in enumerate(budgets):
        own = means[means["trained_with"] == budget]
        smooth = own["loss"].rolling(SMOOTH, min_periods=1).mean()
        style = look("same steps") if number else look("vanilla")
        axes.plot(own["step"], smooth, color=style.colour, linestyle=LINES[number % len(LINES)],
                  label=f"{budget} tokens")  # fmt: skip
    axes.set(xlabel="step", ylabel=f"loss, mean of {SMOOTH} steps")
    axes.set_title("c  training, mean of the seeds")
    axes.legend()


def table(gained: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """In the style of Tables 11 and 17. gained: of `tell.gains`."""
    columns = {
        "tokens": "{budget}",
        "the same": "{same}",
        "points": SIGNED,
        "better": "{verdict}",
        "trained with, % of all": "{kept:.1f} [{kept_low:.1f}, {kept_high:.1f}]",
        "inference only, % of all": "{inference:.1f} [{inference_low:.1f}, {inference_high:.1f}]",
        "the paper's, trained": "{trained_with_paper:.1f}",
        "the paper's, inference": "{inference_paper:.1f}",
        "seeds": "{seeds}",
        "n": "{n}",
    }
    caption = (
        "Trained with fewer visual tokens, against trained with all and given fewer at inference "
        "only: points of accuracy (mean over tasks, paired by question), and percent of what the "
        "training with all tokens reaches with all of them; means over seeds with 95 % intervals. "
        "Better is found if the whole interval is above zero. The paper's are percent of vanilla "
        "of LLaVA-1.5-7B (Tables 11 and 1)."
    )
    return save_table(gained, "10_training_stage_table", settings, columns, caption=caption)
