"""17_concentration: attention and answers under every condition; the kinds of encoders."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import BaseModel

from vzlib.experiments.concentration.names import STOCK, UNTRAINED, VANILLA, ZIPPED
from vzlib.plotting.style import TEXT, look, styled
from vzlib.plotting.table import SavedTable, save_table

RULES = ("cls", "mean")
NAMES = {
    STOCK: "as it is",
    UNTRAINED: "untrained weights",
    "content gone": "content gone, most attended",
    "averaged inside": "averaged inside, most attended",
    "registers": "registers, neurons moved",
}


@styled
def figure(attention: pd.DataFrame, answers: pd.DataFrame) -> Figure:
    """a: Gini coefficient. b: attention on the patches that the stock tower attends to most.
    c: accuracy. A row for each condition; bars are 95 % intervals.

    attention, answers: of `tell`.
    """
    conditions = list(dict.fromkeys(attention["condition"]))
    drawn = Figure(figsize=(TEXT, 0.23 * len(conditions) + 1.1))
    gini, watched, accuracy = drawn.subplots(1, 3, sharey=True)
    for axes, quantity in ((gini, "gini"), (watched, "watched")):
        for number, rule in enumerate(RULES):
            own = attention[(attention["quantity"] == quantity) & (attention["rule"] == rule)]
            _points(axes, own, conditions, rule, number)
    for number, method in enumerate((VANILLA, ZIPPED)):
        own = answers[answers["method"] == method]
        _points(accuracy, own, conditions, method, number)
    gini.set_yticks(range(len(conditions)), [NAMES.get(one, one) for one in conditions])
    gini.set_ylim(len(conditions) - 0.5, -0.5)
    gini.set(xlabel="Gini coefficient")
    watched.set(xlabel="share of the attention, %", xlim=(0, 100))
    accuracy.set(xlabel="accuracy, %")
    for letter, axes, title in zip(
        "abc",
        (gini, watched, accuracy),
        ("concentration", "on what was attended most", "answers"),
        strict=True,
    ):
        axes.grid(visible=False, axis="y")
        axes.set_title(f"{letter}  {title}")
    shown = [*RULES, VANILLA, ZIPPED]
    handles = [Line2D([], [], color=look(one).colour, marker="o", linestyle="",
                      markerfacecolor=_face(one)) for one in shown]  # fmt: skip
    drawn.legend(handles, [look(one).label for one in shown], loc="outside lower center", ncols=4)
    return drawn


def _points(axes: Axes, rows: pd.DataFrame, conditions: list[str], name: str, number: int) -> None:
    if rows.empty:
        return
    places = np.array([conditions.index(one) for one in rows["condition"]]) + 0.3 * number - 0.15
    error = np.array([rows["value"] - rows["low"], rows["high"] - rows["value"]])
    axes.errorbar(
        rows["value"], places, xerr=error, linestyle="", color=look(name).colour, marker="o",
        markersize=3, elinewidth=0.8, markerfacecolor=_face(name),
    )  # fmt: skip


def _face(name: str) -> str:
    return "white" if name in ("mean", VANILLA) else look(name).colour


def table(attention: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """All quantities of the attention. attention: of `tell`."""
    columns: dict[str, str | Callable[..., str]] = {
        "condition": lambda row: NAMES.get(row["condition"], row["condition"]),
        "rule": lambda row: look(row["rule"]).label,
        "quantity": lambda row: QUANTITIES[row["quantity"]],
        "measured": "{value:.3g} [{low:.3g}, {high:.3g}]",
        "change": lambda row: "" if row["condition"] == STOCK else
        "{change:+.3g} [{change_low:+.3g}, {change_high:+.3g}]".format_map(row),
        "images": "{n}",
    }  # fmt: skip
    caption = (
        "Attention in the layer that is read under every change of the tower, means over images "
        "with 95 % intervals, and what differs from the stock tower, paired by image."
    )
    return save_table(attention, "17_concentration_table", settings, columns, caption=caption)


QUANTITIES = {
    "gini": "Gini coefficient of the patches",
    "top": "attention that a tenth of the patches has, %",
    "cls": "attention on CLS, %",
    "elsewhere": "attention on registers, %",
    "watched": "attention on the patches most attended in the stock tower, %",
    "same": "of these still most attended, %",
}


def encoders_table(rows: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """The kinds of encoders. rows: of `tell_encoders.encoders`."""
    columns: dict[str, str | Callable[..., str]] = {
        "encoder": "{tower}",
        "CLS": lambda row: "" if row["cls"] is None else ("yes" if row["cls"] else "no"),
        "patches are rated by": "{rated}", "VisionZip on tiny random weights": "{made}",
        "their Gini": "{gini:.2f}", "in": "{models}", "for example": "{hub}",
        "tried by": "{command}",
    }  # fmt: skip
    caption = (
        "Which encoders allow the method. The first were run here with random weights, on noise; "
        "those that vzlib reads within their models are tested there on tiny random models. "
        "Commands need the weights."
    )
    return save_table(rows, "17_encoders_table", settings, columns, caption=caption)
