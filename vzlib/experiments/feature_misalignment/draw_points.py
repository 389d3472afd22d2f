"""Figure 04 (the paper's 14): the attention of named points of photographs, as maps."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from vzlib.plotting.style import TEXT, styled

SPAN = 1e3  # largest over smallest attention that is told apart
POINT = "#00C8FF"  # stands out on the photographs and on the maps


@styled
def figure(
    maps: pd.DataFrame, shares: pd.DataFrame, photographs: Mapping[str, np.ndarray], radius: float
) -> Figure:
    """A column per point: photograph with dominant tokens, its attention, attention received.

    maps, photographs: of `measure_points`. shares: of `tell.shares_of_points`.
    radius: in patches, of the circle that counts as near.
    """
    points = list(maps.groupby(["photograph", "what"], sort=False))
    drawn = Figure(figsize=(TEXT, 1.72 * 3 + 0.5))
    axes = drawn.subplots(3, len(points), squeeze=False)
    for column, ((photograph, what), own) in zip(axes.T, points, strict=True):
        grid = int(own["row"].max()) + 1
        part = shares[(shares["photograph"] == photograph) & (shares["what"] == what)].iloc[0]
        column[0].imshow(photographs[str(photograph)], extent=(-0.5, grid - 0.5, grid - 0.5, -0.5))
        for row, token in own.loc[own["dominant"], ["row", "column"]].to_numpy():
            corner = (token - 0.5, row - 0.5)
            column[0].add_patch(Rectangle(corner, 1, 1, color="white", alpha=0.55, linewidth=0))
        _map(column[1], own["attention"].to_numpy().reshape(grid, grid))
        _map(column[2], own["received"].to_numpy().reshape(grid, grid))
        place = (own["query_column"].iloc[0], own["query_row"].iloc[0])
        for axis in column:
            axis.set_xticks([])
            axis.set_yticks([])
            axis.grid(False)
            axis.plot(*place, "o", markersize=3.5, mfc=POINT, mec="black", mew=0.5)
        column[1].add_patch(Circle(place, radius, fill=False, edgecolor=POINT, linewidth=0.8))
        column[0].set_title(str(what), loc="center")
        column[1].set_xlabel(
            f"near {part['near']:.0f} % (area {part['near_area']:.0f} %)\n"
            f"dominant {part['dominant']:.0f} % (area {part['dominant_area']:.0f} %)"
        )
    first = "the point, and\ndominant tokens (white)"
    labels = (first, "attention from\nthe point", "attention received\n(the score)")
    for axis, label in zip(axes[:, 0], labels, strict=True):
        axis.set_ylabel(label)
    return drawn


def _map(axis: Axes, values: np.ndarray) -> None:
    top = values.max()
    axis.imshow(values.clip(min=top / SPAN), norm=LogNorm(top / SPAN, top))
