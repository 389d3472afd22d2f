"""Figures and tables 08: time by method and model, by part, and against the tokens."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator, ScalarFormatter
from pydantic import BaseModel

from vzlib.plotting.style import TEXT, look, styled
from vzlib.plotting.table import SavedTable, save_table

SPEEDUP = "{%s_speedup:.2f} [{%s_speedup_low:.2f}, {%s_speedup_high:.2f}]"
# Stages are drawn in shades of one hue, dark for what the language model does.
SHADES = {
    "tower": "#C6DBEF",
    "select + merge": "#D55E00",
    "projector": "#9ECAE1",
    "prefill": "#3182BD",
    "decode": "#08306B",
}


@styled
def speed(table: pd.DataFrame, parts: pd.DataFrame, geometry: str, larger: str | None) -> Figure:
    """Fig. 1b and c: the prefill of every method, and whole answers of a smaller and larger model.

    table, parts: of `tell`; parts for the quartiles.
    """
    figure = Figure(figsize=(TEXT, 2.4))
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    own = table[table["geometry"] == geometry]
    quartiles = parts[(parts["geometry"] == geometry) & (parts["stage"] == "prefill")]
    _bars(left, own, "prefill", [_label(row) for row in own.itertuples()], quartiles)
    left.set_title(f"prefill of {geometry}")
    chosen = (
        own
        if larger is None
        else table[(table["geometry"] == larger) | (table["method"] == "vanilla")]
    )
    names = [f"{row.geometry}\n{_label(row)}" for row in chosen.itertuples()]
    _bars(right, chosen, "total", names)
    right.set_title("a whole answer" if larger is None else "a whole answer, two sizes")
    for axes in (left, right):
        axes.set_xlabel("ms (shorter is better)")
        axes.grid(axis="y", visible=False)
    return figure


@styled
def stacked(parts: pd.DataFrame, geometry: str) -> Figure:
    """Where the time of an answer goes: the stages of every method one after the other.

    parts: of `tell.parts`. Medians of stages, in ms.
    """
    own = parts[parts["geometry"] == geometry]
    variants = own.drop_duplicates(["method", "budget"])
    figure = Figure(figsize=(TEXT, 0.9 + 0.2 * len(variants)))
    axes = figure.subplots()
    for height, row in enumerate(variants.itertuples()):
        left = 0.0
        for stage, shade in SHADES.items():
            at = (own["method"] == row.method) & (own["budget"] == row.budget)
            width = float(own.loc[at & (own["stage"] == stage), "median"].sum())
            axes.barh(height, width, left=left, color=shade, label=stage, height=0.72)
            left += width
    axes.set_yticks(range(len(variants)), [_label(row) for row in variants.itertuples()])
    axes.invert_yaxis()
    axes.set_xlabel("ms, image to last word")
    axes.grid(axis="y", visible=False)
    handles: Any = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    names = [stage for stage in SHADES if stage in handles]
    figure.legend([handles[name] for name in names], names, loc="outside lower center", ncols=5)
    return figure


@styled
def against_tokens(table: pd.DataFrame, geometry: str) -> Figure:
    """Prefill and first word against the visual tokens per layer, on logarithmic axes.

    table: of `tell.table`. The dotted line is the time that VisionZip would take if it fell as the
    FLOPs do from those of all tokens.
    """
    own = table[table["geometry"] == geometry]
    full = own[own["method"] == "vanilla"].iloc[0]
    figure = Figure(figsize=(TEXT, 2.5))
    panels = figure.subplots(1, 2, sharey=True)
    spans = {"prefill": "prefill", "first token": "first word, tower included"}
    for axes, (span, title) in zip(panels, spans.items(), strict=True):
        for name, rows in own.groupby("method", sort=False):
            drawn, line = look(str(name)), rows.sort_values("average")
            style = drawn.line if len(line) > 1 else "none"
            axes.plot(line["average"], line[span], color=drawn.colour, marker=drawn.marker,
                      linestyle=style, label=drawn.label)  # fmt: skip
        if span == "prefill":
            zipped = own[own["method"].isin(["visionzip", "vanilla"])].sort_values("average")
            limit = full[span] / zipped["flops_ratio"]
            axes.plot(zipped["average"], limit, color="0.4", linestyle=":", label="as the FLOPs")
        axes.set_xscale("log")
        axes.set_yscale("log")
        ticks = sorted(own["budget"].unique())
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("visual tokens per layer")
        axes.set_title(title)
    panels[0].set_ylabel("ms")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, fontsize=6.5)
    return figure


def _bars(
    axes: Axes, rows: pd.DataFrame, span: str, labels: list[str], quartiles: Any = None
) -> None:
    for height, row in enumerate(rows.itertuples()):
        value = float(rows[span].iloc[height])
        axes.barh(height, value, color=look(str(row.method)).colour, height=0.72)
        end = value
        if quartiles is not None:
            at = (quartiles["method"] == row.method) & (quartiles["budget"] == row.budget)
            low, high = quartiles.loc[at, ["low", "high"]].iloc[0]
            axes.plot([low, high], [height, height], color="0.4", linewidth=0.8)
            end = max(value, high)
        text = f"{value:.0f}" if value >= 100 else f"{value:.3g}"
        axes.annotate(text, (end, height), xytext=(2, 0), textcoords="offset points", va="center",
                      fontsize=6)  # fmt: skip
    axes.set_yticks(range(len(labels)), labels, fontsize=6)
    axes.invert_yaxis()
    axes.margins(x=0.12)


def _label(row: Any) -> str:
    tokens = "" if row.method == "vanilla" else f" {row.average:.0f}"
    return f"{look(str(row.method)).label}{tokens}"


def table(rows: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """Every variant, as a table. rows: of `tell.table`."""
    columns = {"model": "{geometry}", "method": "{label}", "per layer": "{average:.0f}"}
    for span in ("prefill", "first token", "total"):
        columns |= {f"{span}, ms": f"{{{span}:.4g}}", f"{span}, ×": SPEEDUP % ((span,) * 3)}
    columns |= {
        "ms per word": "{token:.3g}",
        "prefill, GFLOPs": "{flops:.4g}",
        "by formula": "{formula:.4g}",
        "FLOPs ratio": "{flops_ratio:.2f}",
        "× / FLOPs ratio": "{share:.2f}",
        "of the peak rate": "{of_peak:.2f}",
        "peak, MB": "{memory:.4g}",
        "weights, MB": "{weights:.4g}",
    }
    caption = (
        f"Measured on {rows['device'].iloc[0]}, {rows['n'].iloc[0]} rounds in turns, random "
        "weights: medians; × is over the same model with all tokens, with 95 % intervals, and "
        "empty where times scatter too widely. FLOPs count a multiply and an add as two; by "
        "formula: Sec. 2.1 of the paper. Of the peak rate: the least time for these FLOPs on the "
        "device, if its rate is known, over the median. Peak memory is beyond the weights."
    )
    shown = rows.assign(label=[look(name).label for name in rows["method"]])
    return save_table(shown, "08_efficiency_table", settings, columns, caption=caption)


def beside_paper(rows: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """rows: of `tell.beside_paper`."""
    columns = {
        "table": "{table}",
        "model": "{model}",
        "method": "{method}",
        "tokens": "{tokens}",
        "paper: prefill, ms": "{paper_prefill:.4g}",
        "×": "{paper_prefill_speedup:.2f}",
        "least on an A800, ms": "{floor:.1f}",
        "below it": "{impossible}",
        "paper: total, s": "{paper_total:.0f}",
        "× ": "{paper_total_speedup:.2f}",
        "here": "{geometry}",
        "prefill, ms": "{prefill:.4g}",
        "×  ": "{prefill_speedup:.2f}",
        "answer, ms": "{total:.4g}",
        "×   ": "{total_speedup:.2f}",
    }
    caption = (
        "Tables 4, 7 and 18 of the paper (one A800) beside what was measured here. The paper's "
        "totals are of whole benchmarks, those here of one answer. Least: what the prefill cannot "
        "do without, at 312 TFLOP/s, the A800's peak in bf16. Of Table 18's prefills, those with "
        "640 and 160 tokens had lost their decimal point and were restored by scale."
    )
    shown = rows.assign(impossible=rows["below_floor"].map({True: "yes", False: ""}))
    return save_table(shown, "08_efficiency_paper", settings, columns, caption=caption)
