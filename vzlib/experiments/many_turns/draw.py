"""12_many_turns: accuracy by turn, what a first question costs the others, what a turn costs."""

from collections.abc import Iterable, Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from pydantic import BaseModel

from vzlib.experiments.many_turns.tell import CONTRAST, VANILLA
from vzlib.plotting.style import TEXT, Look, look, looks, styled
from vzlib.plotting.table import SavedTable, save_table

MARKS = {"all questions": "o", "the same thing": "s", "another thing": "D"}


@styled
def figure(turns: pd.DataFrame, kept: pd.DataFrame, costs: pd.DataFrame, history: str) -> Figure:
    """A row of panels for each budget: accuracy by turn, losses by first question, GFLOPs.

    turns, kept, costs: of `tell`. Bars and bands are 95 % intervals; the dashed line is the model
    with all tokens in the other form of history.
    """
    budgets = list(dict.fromkeys(kept.loc[kept["method"] != VANILLA, "budget"]))
    drawn = Figure(figsize=(TEXT, 2.0 * len(budgets) + 0.6))
    panels = drawn.subplots(len(budgets), 3, squeeze=False, width_ratios=(3, 3, 2.4))
    handles: dict[str, Look] = {}
    for budget, row in zip(budgets, panels, strict=True):
        chosen = [turns["budget"] == budget, turns["method"] == VANILLA]
        own = turns[chosen[0] | chosen[1]]
        drawn_as = looks(own["method"].unique())
        handles |= drawn_as
        _by_turn(row[0], own, drawn_as, history)
        _losses(row[1], kept[(kept["budget"] == budget) & (kept["history"] == history)], drawn_as)
        _costs(row[2], costs[(costs["budget"] == budget) | (costs["method"] == VANILLA)], drawn_as)
        row[0].set_title(f"a  accuracy by turn, {budget} tokens")
        row[1].set_title("b  lost behind another question")
        row[2].set_title("c  a dialogue, GFLOPs")
    lines = [panels[0][0].plot([], [], color=one.colour, marker=one.marker, linestyle=one.line)[0]
             for one in handles.values()]  # fmt: skip
    drawn.legend(lines, [one.label for one in handles.values()], loc="outside lower center",
                 ncols=6)  # fmt: skip
    return drawn


def _by_turn(axes: Axes, turns: pd.DataFrame, drawn_as: Mapping[str, Look], history: str) -> None:
    for (name, form), own in turns.groupby(["method", "history"], sort=False):
        one = drawn_as[str(name)]
        shift = 0.05 * (list(drawn_as).index(str(name)) - (len(drawn_as) - 1) / 2)
        axes.errorbar(
            own["turn"] + shift, own["value"],
            yerr=[own["value"] - own["low"], own["high"] - own["value"]],
            color=one.colour, marker=one.marker, linestyle="-" if form == history else "--",
            elinewidth=0.7,
        )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="turn", ylabel="accuracy (%)")


def _losses(axes: Axes, kept: pd.DataFrame, drawn_as: Mapping[str, Look]) -> None:
    names = [name for name in drawn_as if name in set(kept["method"]) and name != VANILLA]
    for number, (about, marker) in enumerate(MARKS.items()):
        own = kept[kept["about"] == about].set_index("method")
        shown = [name for name in names if name in own.index]
        for name in shown:
            value, low, high = own.loc[[name], ["value", "low", "high"]].to_numpy(float)[0]
            axes.errorbar(
                value, names.index(name) + 0.22 * (number - 1),
                xerr=[[value - low], [high - value]],
                color=drawn_as[name].colour, marker=marker, linestyle="none", markersize=3.5,
            )  # fmt: skip
        if shown:
            axes.plot([], [], color="0.3", marker=marker, linestyle="none", label=about)
    axes.axvline(0, color="black", linewidth=0.7)
    axes.set_yticks(range(len(names)), [drawn_as[name].label for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.set_xlabel("points to a fresh prefill")
    axes.legend(fontsize=6, loc="upper left")


def _costs(axes: Axes, costs: pd.DataFrame, drawn_as: Mapping[str, Look]) -> None:
    ways: Iterable[tuple[str, float, float]] = zip(
        costs["method"], costs["kept"], costs["fresh"], strict=True
    )
    for place, (name, kept, fresh) in enumerate(ways):
        colour = drawn_as[name].colour
        axes.barh(place - 0.2, kept, height=0.38, color=colour)
        axes.barh(place + 0.2, fresh, height=0.38, color=colour, alpha=0.35)
    labels = [drawn_as[name].label for name in costs["method"]]
    axes.set_yticks(range(len(labels)), labels, fontsize=6)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlabel("kept (dark), fresh (pale)")


def table(
    turns: pd.DataFrame, kept: pd.DataFrame, costs: pd.DataFrame, history: str, settings: BaseModel
) -> SavedTable:
    """Every way in a row. turns, kept, costs: of `tell`."""
    own = turns[turns["history"] == history]
    last = int(own["turn"].max())
    rows, columns = costs, {"method": "{label}", "tokens": "{budget}"}
    for turn in (1, last):
        rows = _beside(rows, own[own["turn"] == turn], f"turn{turn}")
        columns[f"turn {turn}, %"] = (
            f"{{turn{turn}:.1f}} [{{turn{turn}_low:.1f}}, {{turn{turn}_high:.1f}}]"
        )
    every = kept[(kept["history"] == history) & (kept["about"] != CONTRAST)]
    for number, about in enumerate(every["about"].unique()):
        name = f"behind{number}"
        rows = _beside(rows, every[every["about"] == about], name)
        columns[f"behind a question: {about}"] = (
            f"{{{name}:+.1f}} [{{{name}_low:+.1f}}, {{{name}_high:+.1f}}]"
        )
    columns |= {
        "in the cache": "{held:.0f}",
        "turn 1, GFLOPs": "{first:.3g}",
        "later": "{later:.2g}",
        "fresh / kept": "{ratio:.2f}",
    }
    caption = (
        "Dialogues about one image with the cache kept, every question in every turn once; mean "
        "over tasks, 95 % intervals with images as units. Behind a question: points by which one "
        "is answered better than in a prefill of its own at the same budget, by what the first "
        "question was about. In the cache: tokens per layer before the last turn. The paper has "
        "an example only (Fig. 7)."
    )
    labels = [look(name).label for name in rows["method"]]
    return save_table(rows.assign(label=labels), "12_many_turns_table", settings, columns,
                      caption=caption)  # fmt: skip


def _beside(rows: pd.DataFrame, values: pd.DataFrame, name: str) -> pd.DataFrame:
    """`rows` with value and bounds of each method and budget, in columns of that name."""
    key = ["method", "budget"]
    names = {"value": name, "low": f"{name}_low", "high": f"{name}_high"}
    return rows.merge(values[[*key, *names]].rename(columns=names), on=key, how="left")
