"""Maps of received attention, laid over the images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from vzlib.plotting.style import LOOKS, TEXT, styled

DIM = 0.55  # brightness of the image under a map
GREY = (0.299, 0.587, 0.114)  # weights of red, green and blue in what the eye calls bright
CLOSE: Any = {"w_pad": 0.015, "h_pad": 0.015, "wspace": 0.01, "hspace": 0.01}  # between panels
QUANTILE = 0.995  # of the weights, drawn brightest: one token should not make the others invisible


@styled
def map_grid(
    images: Mapping[str, np.ndarray],
    maps: Mapping[str, Sequence[np.ndarray]],
    notes: Mapping[str, Sequence[str]] | None = None,
    subjects: Mapping[str, np.ndarray] | None = None,
) -> Figure:
    """A column per image: the image on top, then a row per kind of map, brightest where most lies.

    images: by title, each [H, W, 3] uint8 and square.
    maps: by row label or the name of a look, one [G, G] array of weights >= 0 per image.
    notes: by row label, a short text under each map.
    subjects: by title, [H, W], above 1/2 where the main subject is; it gets an outline.
    """
    columns, rows = len(images), 1 + len(maps)
    side = TEXT / (columns + 0.3)
    height = rows * (side + 0.02) + (0.13 * len(maps) if notes else 0) + 0.15
    figure = Figure(figsize=(TEXT, height), layout=ConstrainedLayoutEngine(**CLOSE))
    panels = figure.subplots(rows, columns, squeeze=False)
    for column, (title, image) in enumerate(images.items()):
        bare(panels[0, column]).imshow(image)
        panels[0, column].set_title(title, fontsize=6.5, loc="center", pad=2)
        if subjects and title in subjects:
            outline(panels[0, column], subjects[title])
        for row, (label, each) in enumerate(maps.items(), start=1):
            axes = panels[row, column]
            overlay(axes, image, each[column])
            if notes:
                axes.set_xlabel(notes[label][column], fontsize=6, labelpad=1.5)
    for row, label in enumerate(["image", *maps]):
        text = LOOKS[label].label if label in LOOKS else label
        panels[row, 0].set_ylabel(text, fontsize=7, labelpad=3)
    return figure


@styled
def map_rows(examples: Mapping[str, tuple[np.ndarray, Mapping[str, np.ndarray]]]) -> Figure:
    """A row per image: the image, then its maps under their titles, which all rows share.

    examples: by name, an image [H, W, 3] uint8 and its maps [G, G] by title.
    """
    columns = 1 + max(len(maps) for _, maps in examples.values())
    side = TEXT / (columns + 0.3)
    height = len(examples) * (side + 0.02) + 0.2
    figure = Figure(figsize=(TEXT, height), layout=ConstrainedLayoutEngine(**CLOSE))
    panels = figure.subplots(len(examples), columns, squeeze=False)
    for row, (name, (image, maps)) in enumerate(examples.items()):
        bare(panels[row, 0]).imshow(image)
        panels[row, 0].set_ylabel(name, fontsize=7, labelpad=3)
        for column, (title, weights) in enumerate(maps.items(), start=1):
            overlay(panels[row, column], image, weights)
            if row == 0:
                panels[row, column].set_title(title, fontsize=7, loc="center", pad=2)
    return figure


def overlay(axes: Axes, image: np.ndarray, weights: np.ndarray) -> None:
    """Weights [G, G] in colour over a darkened grey image [H, W, 3]; faint where they are low."""
    bare(axes)
    extent = (0, 1, 1, 0)
    axes.imshow(image @ np.array(GREY) / 255 * DIM, cmap="gray", vmin=0, vmax=1, extent=extent)
    top = np.quantile(weights, QUANTILE) or weights.max() or 1
    scaled = np.clip(weights / top, 0, 1)
    axes.imshow(scaled, cmap="inferno", vmin=0, vmax=1, alpha=scaled**0.5, extent=extent)


def outline(axes: Axes, subject: np.ndarray) -> None:
    """A line around the pixels of a drawn image at which `subject` [H, W] is above 1/2."""
    within = np.pad(np.nan_to_num(subject) > 0.5, 1)  # closed at the edges of the image
    rows, columns = (np.arange(-1, length + 1) for length in subject.shape)
    axes.contour(columns, rows, within, levels=[0.5], colors=["#F0E442"], linewidths=0.7)


def bare(axes: Axes) -> Axes:
    """Without ticks, grid and frame, but with room for labels."""
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return axes
