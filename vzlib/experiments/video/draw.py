"""Figure 13: what is kept of clips and albums within a budget; and frames of one of each."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pydantic import BaseModel

from vzlib.plotting.style import TEXT, look, styled
from vzlib.plotting.table import SavedTable, save_table

TITLES = {"clip": "clips of eight frames", "album": "four images"}
SPREADS = {"evenly": "", "attention": ", one budget for all", "inside": ""}


def label(method: str, spread: str) -> str:
    """How a way is called in figures and tables."""
    return look(method).label + SPREADS[spread]


@styled
def figure(kept: pd.DataFrame) -> Figure:
    """Percent kept of the accuracy with all tokens, a panel for clips and one for albums.

    kept: of `tell.kept`. Filled marks share a budget evenly, hollow ones by attention; stars are
    the paper's numbers on Video-LLaVA.
    """
    ways = list(dict.fromkeys(zip(kept["method"], kept["spread"], strict=True)))
    budgets = sorted(kept["budget"].unique())
    drawn = Figure(figsize=(TEXT, 0.8 + 0.2 * len(ways) * len(budgets)))
    axes = drawn.subplots(1, len(TITLES), sharey=True)
    rows = [(budget, way) for budget in budgets for way in ways]
    for axis, (kind, title) in zip(axes, TITLES.items(), strict=True):
        own: Any = kept[kept["kind"] == kind].set_index(["budget", "method", "spread"])
        for place, (budget, (method, spread)) in enumerate(rows):
            if (budget, method, spread) not in own.index:
                axis.text(0.02, place, "out of reach", va="center", fontsize=6, color="0.45",
                          transform=axis.get_yaxis_transform())  # fmt: skip
                continue
            row = own.loc[(budget, method, spread)]
            style = look(method)
            axis.errorbar(
                row["value"],
                place,
                xerr=[[row["value"] - row["low"]], [row["high"] - row["value"]]],
                marker=style.marker,
                color=style.colour,
                markerfacecolor="white" if spread == "attention" else style.colour,
                linestyle="none",
            )
            if not np.isnan(row["paper"]):
                axis.plot(row["paper"], place, marker="*", color="black", markersize=6)
        axis.axvline(100, color="black", linewidth=0.7)
        axis.set(title=title, xlabel="% of the accuracy with all tokens")
        axis.grid(False, axis="y")
    names = [f"{label(*way)}, {budget} tokens" for budget, way in rows]
    axes[0].set_yticks(range(len(rows)), names)
    axes[0].invert_yaxis()
    return drawn


@styled
def frames(images: np.ndarray, title: str) -> Figure:
    """Frames, or images, side by side. images: `uint8 [F, P, P, 3]`."""
    drawn = Figure(figsize=(TEXT, TEXT / len(images) + 0.3))
    for number, (axis, image) in enumerate(
        zip(drawn.subplots(1, len(images), squeeze=False)[0], images, strict=True)
    ):
        axis.imshow(image)
        axis.set_axis_off()
        axis.set_title(str(number + 1), fontsize=7)
    drawn.suptitle(title)
    return drawn


def table(kept: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """In the style of Table 3 of the paper. kept: of `tell.kept`."""
    shown = kept.assign(label=[label(*way) for way in zip(kept["method"], kept["spread"],
                                                         strict=True)])  # fmt: skip
    columns = {
        "shown": "{kind}",
        "tokens": "{budget}",
        "method": "{label}",
        "per layer": "{average:.0f}",
        "% of all tokens": "{value:.1f} [{low:.1f}, {high:.1f}]",
        "the paper's %": "{paper:.1f}",
        "VisionZip better by": "{difference:+.1f} [{difference_low:+.1f}, {difference_high:+.1f}]",
        "n": "{n}",
    }
    caption = (
        "What is kept of the accuracy with all tokens on clips of eight frames and albums of four "
        "images, mean over tasks, 95 % intervals paired by question with clips as units. The "
        "paper's percent is that of Video-LLaVA on four benchmarks (Table 3)."
    )
    return save_table(shown, "13_video_table", settings, columns, caption=caption)
