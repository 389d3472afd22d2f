"""Where the time of one answer goes, part by part, for any model of the LLaVA-1.5 family.

Unlike `vzlib.efficiency.pipeline`, which runs a loop of its own so that variants differ in nothing
else, this watches stock `generate`, zipped or not, by hooks on the modules that it calls. One run
is no benchmark.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from vzlib.efficiency.device import synchronize

PARTS = ("tower", "selection", "projector", "prefill", "first word")
TOWER, PROJECTOR, LANGUAGE = "tower", "projector", "language"


class Mark(NamedTuple):
    """A call of a module begins or ends; at: seconds."""

    module: str
    begins: bool
    at: float


@contextmanager
def watched(model: Any) -> Iterator[list[Mark]]:
    """Collect when tower, projector and language model of a model begin and end, and the end."""
    core, marks = model.base_model, list[Mark]()

    def note(name: str, begins: bool, *_: Any) -> None:
        synchronize(model.device)
        marks.append(Mark(name, begins, time.perf_counter()))

    modules = {
        TOWER: core.vision_tower,
        PROJECTOR: core.multi_modal_projector,
        LANGUAGE: core.language_model,
    }
    hooks = []
    for name, module in modules.items():
        hooks.append(module.register_forward_pre_hook(partial(note, name, True)))
        hooks.append(module.register_forward_hook(partial(note, name, False)))
    try:
        yield marks
    finally:
        note("", False)
        for hook in hooks:
            hook.remove()


def milliseconds(marks: Sequence[Mark]) -> dict[str, float]:
    """Milliseconds of each of PARTS up to the first word of an answer.

    tower: all its calls. selection: from the tower to the last call of the projector, whose other
    calls belong to it. projector: from there to the language model, so that the tokens have taken
    their places among the words. prefill: the language model's first call. first word: from there
    to its second call, or to the end.
    Raises ValueError unless tower, projector and language model were called, in this order.
    """
    language = [mark.at for mark in marks if mark.module == LANGUAGE]
    before = [mark for mark in marks if language and mark.at <= language[0]]
    begins, ends = (
        [mark.at for mark in before if mark.module == TOWER and mark.begins is first]
        for first in (True, False)
    )
    projected = [mark.at for mark in before if mark.module == PROJECTOR and mark.begins]
    if not (begins and len(begins) == len(ends) and projected and len(language) > 1):
        raise ValueError("tower, projector and language model must be called, one after the other")
    tower = sum(end - begin for begin, end in zip(begins, ends, strict=True))
    seconds = (
        tower,
        projected[-1] - begins[0] - tower,
        language[0] - projected[-1],
        language[1] - language[0],
        (language[2] if len(language) > 2 else marks[-1].at) - language[1],
    )
    return {part: 1e3 * one for part, one in zip(PARTS, seconds, strict=True)}
