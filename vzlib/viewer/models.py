"""Models at hand: loaded once, and lent to one request at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
from PIL import Image

from vzlib.models.answer import answer
from vzlib.models.checkpoint import Checkpoint, resolve, stamp
from vzlib.models.host import host_of
from vzlib.models.load import Loaded, load

AT_HAND = 2  # models in memory
# One for all models: a zipped model must not meet another request, and cores are shared anyway.
_lent = threading.Lock()


@contextmanager
def borrowed(name: str) -> Iterator[Loaded]:
    """The model of that name, stock and nobody else's until it is given back.

    Raises ValueError for a model that there is not, or that `check` refuses.
    """
    checkpoint = resolve(name)
    with _lent:
        yield _loaded(checkpoint, stamp(checkpoint))


def check(model: object) -> None:
    """Raises ValueError for a model that sees an image as anything but one square of patches."""
    if host_of(model).VIEWS:
        raise ValueError(
            f"a {type(model).__name__} sees several views of an image, or images of any size; the "
            "viewer shows models that see one square, such as LLaVA-1.5"
        )


@lru_cache(maxsize=AT_HAND)
def _loaded(checkpoint: Checkpoint, stamp: tuple[object, ...]) -> Loaded:
    stock = load(checkpoint)
    check(stock.model)
    # The first pass of a process takes longer than any other: not at the expense of an answer.
    blank = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    answer(stock.model, stock.processor, blank, "?", max_new_tokens=2)
    return stock
