"""Figure 00: an image, the attention its tokens receive, the tokens that stay, and the answers."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vzlib.plotting.kept import kept_patches
from vzlib.plotting.letters import fitted_to
from vzlib.plotting.style import TEXT, styled

RIGHT, WRONG = "#009E73", "#D55E00"
INK = "#555555"
KEPT = ("group", "dominant", "target")
COLUMNS = (0.03, 0.42)  # where the answers before and after begin
WIDTH, HEIGHT = 1.72, 1.34  # of the panel of answers: in pictures, and in inches
ASKED, SAID = 5.8, 7.5  # size of letters of questions and answers
MOST = 5  # questions of an image that find a place
LINES = (4, 3)  # of a question and its answers, where an image has no other question


@styled
def figure(answers: pd.DataFrame, tokens: pd.DataFrame, images: dict[str, np.ndarray]) -> Figure:
    """One row per image: image | attention received | tokens that stay | answers.

    answers: of `tell.judged`. tokens, images: of `measure`.
    """
    drawn = Figure(figsize=(TEXT, 1.5 * len(images) + 0.42))
    axes = drawn.subplots(
        len(images), 4, squeeze=False, gridspec_kw={"width_ratios": [1, 1, 1, WIDTH]}
    )
    before, after = answers[["vanilla_positions", "zipped_positions"]].iloc[0]
    for row, (name, image) in zip(axes, images.items(), strict=True):
        own = tokens[tokens["image"] == name]
        grid = own["row"].max() + 1
        for axis in row:
            axis.set_xticks([])
            axis.set_yticks([])
            axis.grid(False)
            axis.spines[:].set_visible(False)
        row[0].imshow(image)
        received = own["received"].to_numpy().reshape(grid, grid)
        floor = max(received.max() / 1e4, received.min(), 1e-12)
        row[1].imshow(received.clip(min=floor), norm=LogNorm(floor, received.max()))
        of_patches = (own[name].to_numpy().reshape(grid, grid) for name in KEPT)
        kept_patches(row[2], image, *of_patches)
        row[3].set_box_aspect(1 / WIDTH)
        _answers(row[3], answers[answers["image"] == name].head(MOST), before, after)
    _explain(axes[-1, 3], tokens[tokens["image"] == name], after)
    kept, asked = f"{after} tokens stay\nof {before}", "question → truth, and\nthe answers"
    titles = ("image", "attention received\n(logarithmic)", kept, asked)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, linespacing=1.15)
    return drawn


def _answers(axis: Axes, own: pd.DataFrame, before: int, after: int) -> None:
    """Questions with both answers, each right (ticked) or wrong (crossed), cut to their place."""
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    for left, count in zip(COLUMNS, (before, after), strict=True):
        axis.text(left, 1, f"{count} tokens", fontsize=6.5, va="top", weight="bold")
    lines, lines_said = LINES if len(own) == 1 else (1, 1)
    across = WIDTH * HEIGHT * 72
    ends = np.array((*COLUMNS[1:], 1)) - 0.02
    for number, asked in enumerate(own.to_dict("records")):
        height = 0.9 - number * 0.185
        truth = fitted_to(asked["truth"], 0.4 * across, ASKED)
        question = fitted_to(asked["question"], across, ASKED, lines, end=f" → {truth}")
        # Texts are laid out here: however long, they leave the pictures their size.
        style: Any = {"va": "top", "linespacing": 1.15, "in_layout": False}
        axis.text(0, height, question, color=INK, fontsize=ASKED, **style)
        height -= 0.08 + question.count("\n") * ASKED * 1.15 / 72 / HEIGHT
        for left, end, which in zip(COLUMNS, ends, ("vanilla", "zipped"), strict=True):
            right = asked[f"{which}_right"]
            said = fitted_to(asked[which], (end - left) * across - 1.5 * SAID, SAID, lines_said)
            text = f"{'✓' if right else '✗'} {said}"
            axis.text(left, height, text, color=RIGHT if right else WRONG, **style)


def _explain(axis: Axes, own: pd.DataFrame, after: int) -> None:
    """What the frames and colours of the third panel mean, below the last answers."""
    dominant, groups = int(own["dominant"].sum()), int(own["target"].sum())
    cls = "CLS and " if after > dominant + groups else ""
    lines = (
        ("black", f"dominant: {cls}{dominant} patches as they are"),
        ("white", f"contextual: {groups} groups, each merged"),
    )
    for number, (edge, text) in enumerate(lines):
        height = 0.16 - number * 0.14
        face = "#B8B8B8" if edge == "white" else "none"
        corner = (0.01, height - 0.035)
        axis.add_patch(Rectangle(corner, 0.041, 0.07, color=face, linewidth=0, clip_on=False))
        corner = (0.0175, height - 0.023)
        axis.add_patch(Rectangle(corner, 0.026, 0.046, fill=False, edgecolor=edge, linewidth=1))
        axis.text(0.07, height, text, fontsize=6, va="center")
    axis.text(0.07, -0.07, "into the token with the white frame", fontsize=6, va="center")
