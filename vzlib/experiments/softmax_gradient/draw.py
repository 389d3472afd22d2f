"""Figure 03 (the paper's 6a): the derivative of the softmax, and where attention lies on it."""

import numpy as np
import pandas as pd
import seaborn
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vzlib.experiments.softmax_gradient import tell
from vzlib.plotting.style import BAND, TEXT, look, styled
from vzlib.tokens import softmax_jacobian

LENGTHS = ("#56B4E9", "#009E73", "#E69F00", "#0072B2", "#CC79A7", "#000000")
SHOWN = (3.0, 2.0, 0.5, 0.0, -0.5, -1.0)  # logits of the Jacobian that is drawn
PARTS = (("mass_exponential", "#0072B2"), ("mass_growing", "#56B4E9"))
FALLING = "#D55E00"


@styled
def figure(theory: pd.DataFrame, summary: pd.DataFrame, exponential: float) -> Figure:
    """Top: the curve, its growth, the whole Jacobian. Below: where a model's attention lies.

    theory, summary: of `tell`. exponential: attention up to which growth counted as exponential.
    """
    layer, queries = tell.read_block(summary), tell.selecting(summary)
    drawn = Figure(figsize=(TEXT, 5.2))
    curve, growth, jacobian, spread, mass, past = drawn.subplots(2, 3).flat
    _curve(curve, theory)
    _growth(growth, theory)
    _jacobian(jacobian)
    own = summary[summary["queries"] == queries]
    who = "CLS attention" if queries == "cls" else "attention"
    _spread(spread, own, layer, who)
    _mass(mass, own, layer, exponential, who)
    _past(past, summary, layer)
    for letter, axis in zip("abcdef", (curve, growth, jacobian, spread, mass, past), strict=True):
        axis.set_title(f"{letter}  {axis.get_title(loc='left')}")
    return drawn


def _curve(axis: Axes, theory: pd.DataFrame) -> None:
    for colour, (length, own) in zip(LENGTHS, theory.groupby("length"), strict=False):
        axis.plot(own["z"], own["gradient"], color=colour)
        small = own[own["s"] < 0.5]
        peak = own.loc[[own["gradient"].idxmax()]]
        axis.plot(small["z"], small["s"], color=colour, linewidth=0.7, linestyle=":")
        axis.plot(peak["z"], peak["gradient"], "o", color=colour, markersize=3)
        place = float(peak["z"].iloc[0])
        axis.text(place, 0.65, str(length), color=colour, ha="center", fontsize=6.5)
    axis.set_yscale("log")
    axis.set_ylim(1e-5, 3)
    axis.text(0.98, 0.97, "tokens", ha="right", va="top", fontsize=6.5, transform=axis.transAxes)
    axis.set(xlabel="logit z of one token (others: 0)", ylabel="gradient s(1 − s)")
    axis.set_title("exponential until s = ½")


def _growth(axis: Axes, theory: pd.DataFrame) -> None:
    own = theory[theory["length"] == theory["length"].max()]
    two = theory[theory["length"] == theory["length"].min()]
    axis.axhline(0, color="#999999", linewidth=0.6)
    axis.plot(own["s"], own["growth"], color="#000000", label="growth rate, 1 − 2s")
    axis.plot(own["s"], own["gradient"] * 4, color="#0072B2", label="gradient / its peak")
    fewest = f"whole row, {two['length'].iloc[0]} tokens"
    axis.plot(two["s"], two["row_norm"] * 4, "--", color="#E69F00", label=fewest)
    axis.axvline(0.5, color="#D55E00", linewidth=0.8)
    axis.set(xlabel="attention s of the token", ylim=(-1.1, 1.6))
    axis.set_title("growth turns into fall at ½")
    _below(axis)


def _jacobian(axis: Axes) -> None:
    logits = torch.tensor(SHOWN, dtype=torch.float64)
    shares = [f"{share:.2f}" for share in logits.softmax(-1).tolist()]
    values = softmax_jacobian(logits).numpy()
    seaborn.heatmap(
        values, ax=axis, square=True, cmap="RdBu_r", vmin=-0.25, vmax=0.25,
        xticklabels=shares, yticklabels=shares, cbar_kws={"shrink": 0.8, "ticks": (-0.25, 0, 0.25)},
    )  # fmt: skip
    axis.tick_params(axis="x", rotation=90)
    axis.tick_params(axis="y", rotation=0)
    axis.set(xlabel="attention of token j", ylabel="attention of token i")
    axis.set_title("dsᵢ/dzⱼ: gains and losses")


def _spread(axis: Axes, rows: pd.DataFrame, layer: int, who: str) -> None:
    own = rows[rows["layer"] == layer]
    for quantity, label, colour in (
        ("tokens_at", "tokens", "#7F7F7F"),
        ("mass_at", who, "#0072B2"),
    ):
        part = own[own["quantity"] == quantity].sort_values("s")
        axis.plot(part["s"], part["value"], color=colour, label=label)
        axis.fill_between(
            part["s"], part["low"], part["high"], color=colour, alpha=BAND, linewidth=0
        )
    axis.axvline(0.5, color="#D55E00", linewidth=0.8)
    axis.set_xscale("log")
    axis.set(xlabel="attention s of a token", ylabel="percent per bin")
    axis.set_title(f"block {layer}: sizes of attention")
    _below(axis)


def _mass(axis: Axes, rows: pd.DataFrame, layer: int, exponential: float, who: str) -> None:
    table = rows.pivot_table(index="layer", columns="quantity", values="value")
    tops = [*(table[quantity] for quantity, _ in PARTS), pd.Series(100.0, index=table.index)]
    labels = (f"s ≤ {exponential:g}: as exp(z)", "s < ½: slower", "s > ½: falls")
    bottom = np.zeros(len(table))
    colours = [*(colour for _, colour in PARTS), FALLING]
    for top, label, colour in zip(tops, labels, colours, strict=True):
        axis.bar(table.index, top - bottom, 0.8, bottom, color=colour, label=label)
        bottom = top.to_numpy()
    for quantity, _ in PARTS:
        own = rows[rows["quantity"] == quantity].sort_values("layer")
        error = [own["value"] - own["low"], own["high"] - own["value"]]
        axis.errorbar(own["layer"], own["value"], error, fmt="none", color="black", linewidth=0.7)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axis.set(xlabel="block of the tower", ylabel=f"share of the {who}, %", ylim=(0, 100))
    axis.set_title("how its gradient behaves")
    _below(axis)
    _mark(axis, layer)


def _past(axis: Axes, rows: pd.DataFrame, layer: int) -> None:
    own = rows[rows["quantity"] == "softmaxes_past_peak"]
    for queries, colour, marker, label in (
        ("cls", look("cls").colour, "o", "CLS asks"),
        ("all", look("mean").colour, "D", "all tokens ask"),
    ):
        part = own[own["queries"] == queries].sort_values("layer")
        if part.empty:
            continue
        axis.plot(part["layer"], part["value"], color=colour, marker=marker, label=label)
        axis.fill_between(
            part["layer"], part["low"], part["high"], color=colour, alpha=BAND, linewidth=0
        )
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axis.set(xlabel="block of the tower", ylabel="softmaxes, %", ylim=(0, 105))
    axis.set_title("some token past ½")
    _below(axis)
    _mark(axis, layer)


def _mark(axis: Axes, layer: int) -> None:
    """The block that is read, in bold."""
    axis.axvline(layer, color="black", linewidth=0.6, linestyle=":", zorder=0)


def _below(axis: Axes) -> None:
    """The legend, under the axes."""
    axis.legend(
        loc="upper left", bbox_to_anchor=(-0.05, -0.24), handlelength=1.2, borderaxespad=0,
        fontsize=6.5,
    )  # fmt: skip
