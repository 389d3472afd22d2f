"""Every way to spend a budget of visual tokens, by name: a row here is all that a new one needs.

A reduction before the language model takes what `vzlib.models.encode` returns, with the CLS token
at index 0 if the tower has one, the number of tokens to retain, and a seed, and returns tokens
`[B, retain, D]`. One inside it is a class with the stages and the raters of its schedule, see
`vzlib.methods.inside.schedule.Method`. Nothing is imported before it is asked for.
"""

import importlib
from typing import Any, Literal, NamedTuple

from vzlib.parameters import unknown

Place = Literal["before", "inside"]


class Row(NamedTuple):
    """A method.

    where: module and name of what does it. label: what figures and tables call it. family: what it
    chooses by, which gives its colour. place: before or inside the language model. draws: whether
    chance has a part in it. compared: whether notebook 06 measures it unless told otherwise.
    """

    where: str
    label: str
    family: str
    place: Place = "before"
    draws: bool = False
    compared: bool = True

    @property
    def module(self) -> str:
        """The module whose code decides what the method does."""
        return self.where.partition(":")[0]


METHODS = {
    "vanilla": Row("vzlib.methods.vanilla:vanilla", "all tokens", "all", compared=False),
    "visionzip": Row("vzlib.methods.visionzip:visionzip", "VisionZip (code)", "VisionZip"),
    "visionzip-paper": Row(
        "vzlib.methods.visionzip:visionzip_paper", "VisionZip (paper)", "VisionZip"
    ),
    "fastervlm": Row("vzlib.methods.fastervlm:fastervlm", "FasterVLM", "attention"),
    "vispruner": Row("vzlib.methods.vispruner:vispruner", "VisPruner", "diversity"),
    "divprune": Row("vzlib.methods.divprune:divprune", "DivPrune", "diversity"),
    "prumerge-plus": Row("vzlib.methods.prumerge_plus:prumerge_plus", "PruMerge+", "merging"),
    "tome": Row("vzlib.methods.tome:tome", "ToMe", "merging"),
    "pooling": Row("vzlib.methods.pooling:pooling", "average pooling", "control"),
    "uniform": Row("vzlib.methods.uniform:uniform", "uniform", "control"),
    "random": Row("vzlib.methods.random:random", "random", "control", draws=True),
    "fastv": Row("vzlib.methods.fastv:FastV", "FastV", "inside", "inside"),
    "sparsevlm": Row(  # v1.5
        "vzlib.methods.sparsevlm:SparseVLM", "SparseVLM", "inside", "inside", draws=True
    ),
    "sparsevlm-v1": Row(  # its counts depend on the prompt, so that it cannot meet a budget
        "vzlib.methods.sparsevlm:AdaptiveSparseVLM",
        "SparseVLM v1",
        "inside",
        "inside",
        draws=True,
        compared=False,
    ),
    "pyramiddrop": Row("vzlib.methods.pyramid_drop:PyramidDrop", "PyramidDrop", "inside", "inside"),
}


def names(place: Place | None = None) -> list[str]:
    """The names of all methods, or of those before or inside the language model."""
    return [name for name, row in METHODS.items() if place in (None, row.place)]


def row(name: str, place: Place | None = None) -> Row:
    """The row of a method. Raises ValueError naming the nearest and all allowed."""
    allowed = names(place)
    if name not in allowed:
        raise ValueError(f"method {unknown(name, allowed)}")
    return METHODS[name]


def method(name: str, place: Place | None = None) -> Any:
    """The reduction or the class of that name. Raises ValueError as `row` does."""
    module, _, attribute = row(name, place).where.partition(":")
    return getattr(importlib.import_module(module), attribute)
