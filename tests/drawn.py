"""What a figure shows, read back from its parts, so that a test can hold it against the data."""

from typing import NamedTuple

import numpy as np
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.patches import Rectangle
from matplotlib.text import Text


class Band(NamedTuple):
    """The area between two bounds, which must be seen: colour, places, lower and upper bounds."""

    colour: str
    x: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Bar(NamedTuple):
    colour: str
    middle: float
    bottom: float
    top: float


def bands(axes):
    found = []
    for area in axes.collections:
        if isinstance(area, PolyCollection):
            (path,), (colour,) = area.get_paths(), area.get_facecolor()
            assert area.get_visible() and colour[3] > 0.1
            x, y = path.vertices.T
            places = np.unique(x)
            low, high = (np.array([end(y[x == one]) for one in places]) for end in (min, max))
            found.append(Band(to_hex(colour), places, low, high))
    return found


def bars(axes):
    found = []
    for bar in axes.patches:
        if isinstance(bar, Rectangle):
            assert bar.get_visible() and bar.get_width() > 0
            middle = bar.get_x() + bar.get_width() / 2
            colour = to_hex(bar.get_facecolor())
            found.append(Bar(colour, middle, bar.get_y(), bar.get_y() + bar.get_height()))
    return found


def whiskers(axes):
    """Both ends [2, 2] of every error bar, in the order in which they were drawn."""
    return [
        np.array(segment)
        for container in axes.containers
        if isinstance(container, ErrorbarContainer)
        for lines in container.lines[2]
        if isinstance(lines, LineCollection) and lines.get_linewidth()[0] > 0
        for segment in lines.get_segments()
    ]


def texts(figure):
    """The texts of a figure that are seen, once it is laid out as saving it would."""
    figure.draw_without_rendering()
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def words(figure):
    return {text.get_text() for text in texts(figure)}


def check_print(figure, width, letters=6):
    """It has the width of the page, no letter under six points, and its legends on the page."""
    assert figure.get_figwidth() == width
    assert min(text.get_fontsize() for text in texts(figure)) >= letters
    for legend in figure.legends:
        page, box = figure.bbox, legend.get_window_extent()
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0
