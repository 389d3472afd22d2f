"""What stands between a tower and a projector while a model is zipped, and who listens to it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from vzlib.methods.before import Before, Further
from vzlib.methods.visionzip import reduced
from vzlib.models.question import Frame, asked_here
from vzlib.models.smaller import look_smaller
from vzlib.models.tower_parts import has_cls
from vzlib.models.towers import received_by_layer
from vzlib.tokens import Budget, ZippedTokens, check_finite
from vzlib.tokens.evidence import Encoded, Reduced

# Who listens in this thread, as (part of a model, list): see `recorded`.
_listeners: ContextVar[tuple[tuple[nn.Module, list[Any]], ...]] = ContextVar(
    "zipped_tokens_listeners", default=()
)
_last: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()


class Looked(NamedTuple):
    """What a reduction may ask for besides the layer that is read.

    tower, inputs: what looked, and at what. projector: what the tokens go through. layers: those
        of the tower that are read, where an image is one view.
    """

    tower: nn.Module
    inputs: tuple[Tensor, ...]
    projector: nn.Module
    layers: tuple[int, ...] = ()


@dataclass(frozen=True)
class ByBudget:
    """VisionZip within a `Budget`; without `budget.cls` CLS is cut off, having rated the rest.

    reduce: picklable, as it goes where the model goes.
    """

    budget: Budget
    reduce: Callable[[Encoded], ZippedTokens]

    @property
    def total(self) -> int:
        """Tokens that come out of one view."""
        return self.budget.total

    def said(self, tokens: int) -> str:
        """Of so many tokens, how many each image has."""
        return said_of_each(tokens, self.total)

    def __call__(self, core: nn.Module, evidence: Encoded, looked: Looked) -> Tensor:
        """Tokens [B, total, D] of B views.

        core: the part of the model that its listeners wait at.
        Raises ValueError for tokens or scores that are not finite, where looking costs no wait.
        """
        cut = int(has_cls(looked.tower) and not self.budget.cls)
        if cut:
            evidence = Encoded(*(part[:, cut:] for part in evidence))
        zipped = self.reduce(evidence)
        kept = zipped._replace(tokens=zipped.tokens.detach())  # holds no graph until the next call
        tell(core, [evidence.scores], [zipped.tokens], zipped, (kept, cut))
        return zipped.tokens


@dataclass(frozen=True)
class ByMethod:
    """Any method before the language model; `total` tokens come out of one view.

    frame: what stands around a question in a prompt, for methods that choose by the question.
    """

    method: Before
    total: int
    seed: int
    frame: Frame | None = None

    def said(self, tokens: int) -> str:
        """Of so many tokens, how many each image has."""
        return said_of_each(tokens, self.total)

    def __call__(self, core: nn.Module, evidence: Encoded, looked: Looked) -> Tensor:
        """As of `ByBudget`. Raises ValueError where the method needs a question and there is none.

        A method that asks for the attention in every block costs another pass of the tower.
        """
        found = looked_for(self.method.needs, evidence, looked)
        if "text" in self.method.needs:
            text, words = asked_here(core, self.frame, [self.total] * len(evidence.hidden))
            found |= {"text": text, "words": words}
        made = self.method.reduce(
            evidence,
            self.total,
            has_cls=has_cls(looked.tower),
            seed=self.seed,
            further=Further(**found),
        )
        kept = made._replace(tokens=made.tokens.detach())
        tell(core, [evidence.scores], [made.tokens], made, kept)
        return made.tokens


Reduction = ByBudget | ByMethod


def said_of_each(tokens: int, total: int) -> str:
    return f"{total} for each of {tokens // total} images"


def looked_for(needs: Sequence[str], evidence: Encoded, looked: Looked) -> dict[str, Any]:
    """What a method needs besides the layer that is read, by the names of `Further`.

    Attention in every block costs another pass of the tower. The question is not looked for here.
    """
    found: dict[str, Any] = {}
    if "received" in needs:
        found["received"] = received_by_layer(looked.tower, *looked.inputs)
    if "received_from_all" in needs:
        found["received_from_all"] = received_by_layer(looked.tower, *looked.inputs, cls=False)
    if "smaller" in needs:
        found["smaller"] = partial(look_smaller, looked.tower, looked.inputs, looked.layers)
    if "projected" in needs:
        found["projected"] = looked.projector(evidence.hidden)
    return found


def tell(
    core: nn.Module, scores: Sequence[Tensor], tokens: Sequence[Tensor], made: Any, last: Any
) -> None:
    """Tell those who listen what was made of images, and keep it as the last.

    Raises ValueError for scores or tokens that are not finite, where looking costs no wait or
    somebody listens.
    """
    if torch.compiler.is_compiling():
        return
    lists = [seen for listener, seen in _listeners.get() if listener is core]
    for name, tensors in (("scores", scores), ("tokens", tokens)):
        for tensor in tensors:
            if lists or tensor.device.type == "cpu":
                check_finite(**{name: tensor})
    for seen in lists:
        seen.append(made)
    _last[core] = last


def last_reduced(core: nn.Module) -> Reduced | list[Reduced | None] | None:
    """What became of the tokens of the last images that this part of a model encoded."""
    last: Reduced | list[Reduced | None] | tuple[ZippedTokens, int] | None = _last.get(core)
    if not isinstance(last, tuple) or isinstance(last, Reduced):
        return last
    return reduced(*last)


@contextmanager
def recorded(core: nn.Module) -> Iterator[list[Any]]:
    """All that reductions at this part of a model return to this thread meanwhile."""
    seen: list[Any] = []
    token = _listeners.set((*_listeners.get(), (core, seen)))
    try:
        yield seen
    finally:
        _listeners.reset(token)
