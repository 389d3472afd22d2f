"""The one look of every figure: sizes, fonts, and what a colour and a marker stand for."""

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any, NamedTuple, ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure

from vzlib.methods.registry import METHODS, bare, label_of
from vzlib.parameters import unknown
from vzlib.plotting.letters import FONT, legible

P = ParamSpec("P")
Marker = Any  # as of matplotlib: a letter, or numbers

COLUMN, TEXT = 3.25, 6.75  # inches: one column and the full width of a two-column page

STYLE: Any = {
    "font.family": FONT,
    "text.parse_math": False,  # a question may hold dollar signs
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "figure.titlesize": 8.5,
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "errorbar.capsize": 1.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,  # long enough for a dashed line to be seen as one
    "legend.columnspacing": 1.4,
    "image.cmap": "magma",  # perceptually uniform, and still a ranking in grey
    "image.interpolation": "nearest",
}
BAND = 0.18  # opacity of the area between two interval bounds


# Of methods without a mark of their own; (n, 1) are stars and (n, 2) asterisks of n points.
MARKERS: tuple[Marker, ...] = ("2", "3", "|", "_", (6, 2, 0), (4, 1, 0), (7, 1, 0), (8, 2, 0))


class Look(NamedTuple):
    """How one thing is drawn wherever it appears."""

    label: str
    colour: str
    marker: Marker
    line: str = "-"


# By family, at least 3.6 to 1 in contrast to white, and apart for colour-blind readers too.
FAMILIES = {
    "all": "#000000",
    "VisionZip": "#D55E00",
    "attention": "#882255",
    "diversity": "#117733",
    "question": "#004488",
    "merging": "#7B52E0",
    "control": "#7F7F7F",
    "inside": "#1F8FBF",
}
IMAGES = ("photographs", "scenes", "things")
OF_FOLDERS = (("#CC79A7", "D"), ("#56B4E9", "v"), ("#332288", "P"), ("#999933", "X"))
OTHERS = "#666666"  # of a family without a colour
# By method, its marker and line.
METHOD_MARKS: dict[str, tuple[Marker, str]] = {
    "vanilla": ("s", "-"),
    "visionzip": ("o", "-"),
    "visionzip-paper": ("D", "--"),
    "fastervlm": ("<", "-"),
    "holov": ("8", "--"),
    "hiprune": ("4", "-."),
    "vispruner": (">", "-"),
    "divprune": ("d", "--"),
    "scope": ("H", "-."),
    "cdpruner": ("1", "-"),
    "prumerge-plus": ("p", "-"),
    "tome": ("h", "--"),
    "pooling": ("X", "-."),
    "uniform": ("v", "--"),
    "random": ("x", ":"),
    "fastv": ("^", "-"),
    "sparsevlm": ("P", "--"),
    "pyramiddrop": ("*", "-."),
}


def _of_method(name: str, marker: Marker, line: str) -> Look:
    row = METHODS[name]
    return Look(row.label, FAMILIES.get(row.family, OTHERS), marker, line)


LOOKS = {
    **{name: _of_method(name, *mark) for name, mark in METHOD_MARKS.items()},
    # other ways to run them
    "vanilla-compiled": Look("all tokens, compiled", "#555555", "D", "--"),
    "visionzip-compiled": Look("VisionZip, compiled", "#8C3B00", "v", "--"),
    "visionzip-usual": Look("VisionZip, the usual way", "#999933", "o", "--"),
    # where images come from
    "photographs": Look("photographs", "#0072B2", "o"),
    "scenes": Look("scenes", "#D55E00", "s"),
    "things": Look("real things", "#009E73", "^"),
    # on what a projector was tuned
    "untuned": Look("as it is", "#D55E00", "o"),
    "matching": Look("projector tuned on matching data", "#0072B2", "D"),
    "other": Look("projector tuned on other data", "#009E73", "^", "--"),
    # with what a language model was trained
    "inference": Look("trained with all, fewer at inference", "#D55E00", "o"),
    "same steps": Look("trained with fewer, same steps", "#0072B2", "D"),
    "same time": Look("the same, same time", "#009E73", "^", "--"),
    # how received attention is counted
    "cls": Look("CLS row", "#0072B2", "o"),
    "mean": Look("column mean", "#E69F00", "D", "--"),
    # what a share of attention lies on
    "object": Look("object", "#009E73", "o"),
    "background": Look("background", "#BBBBBB", "s"),
    # what is said of a claim; a solid line: it was measured
    "found": Look("found", "#009E73", "o"),
    "opposite": Look("opposite", "#D55E00", "X"),
    "not found": Look("not found", "#4C5C7A", "s"),
    "not measurable here": Look("not measurable here", "#888888", "x", "--"),
    "not yet measured": Look("not yet measured", "#888888", ".", ":"),
}


def look(name: str) -> Look:
    """Label, colour, marker and line of a method, an image source, a rule or a region.

    A method without a look of its own has the colour of its family and a marker of its own; one
    with hyper-parameters the look of the method, with them on its label.

    Raises ValueError, naming the nearest one, for what has no look yet.
    """
    if name in LOOKS:
        return LOOKS[name]
    if bare(name) not in METHODS:
        raise ValueError(f"no look of {unknown(name, [*LOOKS, *METHODS])}")
    if name in METHODS:
        without = [other for other in METHODS if other not in LOOKS]
        return _of_method(name, MARKERS[without.index(name) % len(MARKERS)], "-.")
    return look(bare(name))._replace(label=label_of(name), line=":")


def looks(names: Iterable[str]) -> dict[str, Look]:
    """The looks of what is drawn together: methods with hyper-parameters differ by their markers.

    Raises ValueError as `look` does.
    """
    found = {name: look(name) for name in names}
    variants = [name for name in found if name not in LOOKS and name not in METHODS]
    others = {one.marker for name, one in found.items() if name not in variants}
    free = [marker for marker in MARKERS if marker not in others] or MARKERS
    for number, name in enumerate(variants):
        found[name] = found[name]._replace(marker=free[number % len(free)])
    return found


def looks_of_images(names: Iterable[str]) -> dict[str, Look]:
    """The looks of sources of images drawn together; of folders each has one of its own."""
    free = cycle(OF_FOLDERS)
    return {name: LOOKS[name] if name in IMAGES else Look(name, *next(free)) for name in names}


@contextmanager
def in_style() -> Iterator[None]:
    """The one look while inside, whatever the reader's own settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def styled(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorator for functions that draw a figure: they do it in the one look, legibly."""

    @functools.wraps(function)
    def draw(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with in_style():
            figure = function(*args, **kwargs)
            legible(figure)
            return figure

    return draw
