"""Reductions before the language model: from what a tower gave to the tokens that are projected.

Every method takes what `vzlib.models.encode` returns, with the CLS token at index 0 if the tower
has one, the number of tokens to retain, and a seed, and returns tokens `[B, retain, D]`.
"""

from difflib import get_close_matches
from typing import Protocol

from torch import Tensor

from vzlib.methods.divprune import divprune
from vzlib.methods.fastervlm import fastervlm
from vzlib.methods.pooling import pooling
from vzlib.methods.prumerge_plus import prumerge_plus
from vzlib.methods.random import random
from vzlib.methods.tome import tome
from vzlib.methods.uniform import uniform
from vzlib.methods.vanilla import vanilla
from vzlib.methods.visionzip import visionzip, visionzip_paper
from vzlib.methods.vispruner import vispruner
from vzlib.tokens.evidence import Encoded


class Method(Protocol):
    """How a reduction is called."""

    def __call__(self, encoded: Encoded, retain: int, *, has_cls: bool, seed: int) -> Tensor:
        """Tokens `[B, retain, D]`. Raises BudgetError if there are fewer."""
        ...


METHODS: dict[str, Method] = {
    "vanilla": vanilla,
    "visionzip": visionzip,
    "visionzip-paper": visionzip_paper,
    "fastervlm": fastervlm,
    "vispruner": vispruner,
    "divprune": divprune,
    "prumerge-plus": prumerge_plus,
    "tome": tome,
    "pooling": pooling,
    "uniform": uniform,
    "random": random,
}


def method(name: str) -> Method:
    """The reduction of that name. Raises ValueError naming the nearest and all allowed."""
    if name not in METHODS:
        near = get_close_matches(name, METHODS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"method {name!r} is unknown{hint}; allowed: {', '.join(METHODS)}")
    return METHODS[name]
