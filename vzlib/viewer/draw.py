"""The pictures of the viewer: panels for the page, and all of them together as PDF."""

import io
import threading
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from vzlib.plotting.kept import kept_patches
from vzlib.plotting.letters import fitted_to
from vzlib.plotting.maps import bare, outline, overlay
from vzlib.plotting.save import NOT_WRITTEN
from vzlib.plotting.style import TEXT, in_style, styled
from vzlib.viewer.asking import Answered
from vzlib.viewer.fates import Fates

SIDE = 528  # pixels of a panel of the page: 22 for each of 24 patches
PICKED = "#F0E442"
Draw = Callable[[Axes], None]

_drawing = threading.Lock()  # the look of matplotlib is one for all threads


def panel(draw: Draw, side: int = SIDE) -> np.ndarray:
    """[side, side, 3] uint8: what is drawn, and nothing around it."""
    with _drawing, in_style():
        figure = Figure(figsize=(side / 100, side / 100), dpi=100)
        figure.set_layout_engine("none")
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        draw(bare(axes))
        left, right, bottom, top = axes.images[-1].get_extent()  # whatever else was drawn
        axes.set(xlim=(left, right), ylim=(bottom, top))
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def small(image: np.ndarray, side: int = SIDE) -> np.ndarray:
    """A square image [P, P, 3] with [side, side] pixels."""
    resized = Image.fromarray(np.ascontiguousarray(image)).resize((side, side))
    return np.asarray(resized)


def attention(image: np.ndarray, weights: np.ndarray, axes: Axes) -> None:
    """Attention [G, G] laid over the image."""
    overlay(axes, image, weights)


def kept(image: np.ndarray, fates: Fates | None, grid: int, axes: Axes) -> None:
    """Which patches stay, and which merged into which; all of them without fates."""
    if fates is None:
        axes.imshow(image)
        return
    parts = (part.reshape(grid, grid) for part in (fates.group, fates.stays, fates.target))
    kept_patches(axes, image, *parts)


def together(image: np.ndarray, fates: Fates, grid: int, patch: int, axes: Axes) -> None:
    """As `kept`, with an outline around all patches that went where this one went."""
    kept(image, fates, grid, axes)
    token = fates.token[patch]
    chosen = np.arange(len(fates.token)) == patch
    members = chosen if token < 0 else fates.token == token
    pixel = np.arange(len(image)) * grid // len(image)
    outline(axes, members.reshape(grid, grid)[pixel][:, pixel])


def outgoing(image: np.ndarray, weights: np.ndarray, patch: int, axes: Axes) -> None:
    """Where the attention of one patch goes, with a frame around that patch."""
    overlay(axes, image, weights)
    row, column = np.divmod(patch, len(weights))
    side = 1 / len(weights)
    frame = Rectangle((column * side, row * side), side, side, fill=False, ec="white", lw=1.6)
    axes.add_patch(frame)


def picked(image: np.ndarray, patches: Sequence[int], grid: int, axes: Axes) -> None:
    """The image, dark but for the patches that are picked."""
    chosen = np.zeros(grid * grid, dtype=bool)
    chosen[list(patches)] = True
    pixel = np.arange(len(image)) * grid // len(image)
    bright = chosen.reshape(grid, grid)[pixel][:, pixel, None]
    axes.imshow(np.where(bright, image, (image * 0.35 + 40).astype(np.uint8)))
    side = len(image) / grid
    for number in patches:
        row, column = divmod(number, grid)
        corner = (column * side - 0.5, row * side - 0.5)
        axes.add_patch(Rectangle(corner, side, side, fill=False, ec=PICKED, lw=0.8))


@styled
def figure(
    image: np.ndarray,
    grid: int,
    question: str,
    attended: tuple[str, np.ndarray],
    answers: Sequence[Answered],
) -> Figure:
    """The image, its attention, and a panel for each way of keeping tokens, with its answer.

    attended: a title and a map [G, G]. answers: the first with all tokens.
    """
    panels: list[tuple[str, str, Draw]] = [
        (answers[0].way, answers[0].text, partial(kept, image, None, grid)),
        (attended[0], "", partial(attention, image, attended[1])),
    ]
    panels += [
        (f"{each.way}, {told(each)}", each.text, partial(kept, image, each.fates, grid))
        for each in answers[1:]
    ]
    side = TEXT / len(panels)
    drawn = Figure(figsize=(TEXT, side + 0.75))
    width = side * 72 - 8
    for axes, (title, text, draw) in zip(
        drawn.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        draw(bare(axes))
        axes.set_title(fitted_to(title, width, 7, 2), fontsize=7)
        if text:
            axes.set_xlabel(fitted_to(text, width, 8, 2), fontsize=8)
    drawn.suptitle(fitted_to(question, TEXT * 72 - 20, 8.5, 2), fontsize=8.5, x=0.01, ha="left")
    return drawn


def told(answered: Answered) -> str:
    """Its tokens, in words."""
    if answered.average == answered.tokens:
        return f"{answered.tokens} tokens"
    return f"{answered.average:.4g} tokens a layer"


def pdf(draw: Callable[[], Figure]) -> bytes:
    """What a function draws as PDF, the same bytes for the same figure."""
    content = io.BytesIO()
    with _drawing, in_style():
        draw().savefig(content, format="pdf", metadata=NOT_WRITTEN["pdf"])
    return content.getvalue()
