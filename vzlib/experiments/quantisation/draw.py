"""11_quantisation: accuracy, bytes and time by precision."""

import pandas as pd
from matplotlib.figure import Figure
from pydantic import BaseModel

from vzlib.plotting.style import TEXT, look, looks, styled
from vzlib.plotting.table import Cell, SavedTable, p_value, save_table

# Parts in shades of one hue, as stages are in notebook 08.
SHADES = {"tower": "#C6DBEF", "projector": "#9ECAE1", "language model": "#3182BD",
          "KV cache": "#D55E00"}  # fmt: skip


@styled
def figure(accuracy: pd.DataFrame, sizes: pd.DataFrame, times: pd.DataFrame) -> Figure:
    """Accuracy, megabytes by part and milliseconds to the first word, by precision and method.

    accuracy, sizes, times: of `tell`. Whiskers are 95 % intervals.
    """
    drawn = Figure(figsize=(TEXT, 2.6))
    first, second, third = drawn.subplots(1, 3)
    precisions = list(dict.fromkeys(accuracy["precision"]))
    drawn_as = looks(accuracy["method"].unique())
    width = 0.8 / len(drawn_as)
    for number, (name, one) in enumerate(drawn_as.items()):
        own = accuracy[accuracy["method"] == name]
        places = [precisions.index(each) + width * (number - (len(drawn_as) - 1) / 2)
                  for each in own["precision"]]  # fmt: skip
        first.errorbar(
            places, own["value"],
            yerr=[own["value"] - own["low"], own["high"] - own["value"]],
            color=one.colour, marker=one.marker, linestyle="none", label=one.label,
        )  # fmt: skip
        taken = times[times["method"] == name]
        third.bar(places, taken["all"], width=0.9 * width, color=one.colour)
        bottom = [0.0] * len(places)
        held = sizes[sizes["method"] == name]
        for part, shade in SHADES.items():
            second.bar(places, held[part], bottom=bottom, width=0.9 * width, color=shade,
                       label=part if number == 0 else None)  # fmt: skip
            bottom = [below + more for below, more in zip(bottom, held[part], strict=True)]
    for axes, label in ((first, "accuracy (%)"), (second, "MB"), (third, "ms to the first word")):
        axes.set_xticks(range(len(precisions)), precisions)
        axes.set_ylabel(label)
        axes.grid(False, axis="x")
    first.set_title("a  accuracy")
    second.set_title(f"b  bytes ({', '.join(look(name).label for name in drawn_as)})")
    third.set_title("c  time")
    handles = [*first.get_legend_handles_labels()[0], *second.get_legend_handles_labels()[0]]
    names = [*first.get_legend_handles_labels()[1], *second.get_legend_handles_labels()[1]]
    drawn.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=6.5)
    return drawn


def table(
    accuracy: pd.DataFrame, sizes: pd.DataFrame, times: pd.DataFrame, settings: BaseModel
) -> SavedTable:
    """In the style of Table 16. accuracy, sizes, times: of `tell`."""
    key = ["precision", "method"]
    rows = accuracy.merge(sizes, on=key).merge(
        times.rename(columns={"tower": "tower_ms", "language model": "language_ms"}), on=key
    )
    rows = rows.rename(columns={"language model": "language", "KV cache": "cache"})
    columns: dict[str, Cell] = {
        "precision": "{precision}",
        "method": "{label}",
        "accuracy, %": "{value:.1f} [{low:.1f}, {high:.1f}]",
        "% of all tokens": "{percent:.1f} [{percent_low:.1f}, {percent_high:.1f}]",
        "points to the first": "{change:+.1f} [{change_low:+.1f}, {change_high:+.1f}]",
        "p (Holm)": p_value("holm"),
        "tower, MB": "{tower:.3g}",
        "projector": "{projector:.2g}",
        "language model": "{language:.3g}",
        "KV cache": "{cache:.2g}",
        "tower, ms": "{tower_ms:.3g}",
        "language, ms": "{language_ms:.3g}",
        "CUDA memory": "not measured here",
    }
    caption = (
        "Accuracy by precision and method, mean over tasks, 95 % intervals with images as units; "
        "points to the same method at the first precision are paired. Bytes are counted, of the "
        "weights and of the cache of a prompt of 16 words; CUDA memory, which Tables 6 and 16 of "
        "the paper have, needs a GPU: make reproduce SCALE=paper NOTEBOOKS=11."
    )
    labels = [look(name).label for name in rows["method"]]
    return save_table(rows.assign(label=labels), "11_quantisation_table", settings, columns,
                      caption=caption)  # fmt: skip
