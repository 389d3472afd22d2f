"""One request of the page, from an image and a question to all that is shown of it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vzlib.methods import registry
from vzlib.viewer.asking import Answered, ask, unknown_words
from vzlib.viewer.by_hand import ByHand
from vzlib.viewer.models import borrowed
from vzlib.viewer.pictures import Picture
from vzlib.viewer.seeing import attends_to, block_read, received

LETTERS = 300  # of a question or a method, at most


class Shown(NamedTuple):
    """What is known of an image, a question and its answers; nothing of it changes later.

    received: [L, G, G], attention in every block. block: the one that is read, from 1. answers:
    with all tokens first, then one for each of `ways`. unknown: words the model has no token for.
    """

    model: str
    picture: Picture
    question: str
    retain: int
    ways: tuple[str, ...]
    received: np.ndarray
    block: int
    answers: tuple[Answered, ...]
    unknown: tuple[str, ...]

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.received.shape[-1]


def show(
    model: str,
    picture: Picture,
    question: str,
    ways: Sequence[str],
    retain: int,
    before: Shown | None = None,
) -> Shown:
    """Ask with all tokens, and with those that each method leaves.

    ways: methods as the registry writes them. before: what was shown last; of the same image and
    model its attention is still known.
    Raises ValueError for a question, a method or a budget that is not allowed, before a model runs.
    """
    check_question(question)
    for way in ways:
        check_length("method", way)
        registry.method(way)
    with borrowed(model) as stock:
        if before is not None and before.model == model and before.picture is picture:
            seen = before.received
        else:
            seen = received(stock, picture.image)
        answers = [ask(stock, picture.image, question)]
        answers += [ask(stock, picture.image, question, way, retain) for way in ways]
        unknown = unknown_words(stock.processor, question)
        block = block_read(stock)
    return Shown(
        model, picture, question, retain, tuple(ways), seen, block, tuple(answers), tuple(unknown)
    )


def by_hand(shown: Shown, question: str, patches: Sequence[int]) -> Answered:
    """The answer with the patches that somebody picked.

    Raises ValueError for a question that is not allowed, and for no patches.
    """
    check_question(question)
    if not patches:
        raise ValueError("no patch is picked; click on the image to pick some")
    with borrowed(shown.model) as stock:
        chosen = ByHand(tuple(sorted(patches)))
        return ask(stock, shown.picture.image, question, chosen, len(chosen.patches))


def attended(shown: Shown, block: int, patch: int) -> np.ndarray:
    """[G, G]: where the attention of a patch goes in a block, from 1."""
    with borrowed(shown.model) as stock:
        return attends_to(stock, shown.picture.image, block, patch)


def patch_at(x: float, y: float, side: int, grid: int) -> int:
    """The patch under a pixel of a panel with so many pixels a side."""
    row, column = (min(max(int(at * grid / side), 0), grid - 1) for at in (y, x))
    return row * grid + column


def toggled(patches: Sequence[int], patch: int, brush: int, grid: int) -> list[int]:
    """Picked patches after a click: a square of brush x brush joins them, or leaves.

    It leaves if the patch that was clicked was among them.
    """
    row, column = divmod(patch, grid)
    reach = brush // 2
    square = {
        y * grid + x
        for y in range(max(row - reach, 0), min(row - reach + brush, grid))
        for x in range(max(column - reach, 0), min(column - reach + brush, grid))
    }
    before = set(patches)
    return sorted(before - square if patch in before else before | square)


def check_question(question: str) -> None:
    """Raises ValueError for an empty question, or one that is too long."""
    if not question.strip():
        raise ValueError("there is no question; write one, such as: is there a flower ?")
    check_length("question", question)


def check_length(what: str, text: str) -> None:
    """Raises ValueError for a text that is too long."""
    if len(text) > LETTERS:
        raise ValueError(f"the {what} has {len(text)} letters; allowed: {LETTERS}")
