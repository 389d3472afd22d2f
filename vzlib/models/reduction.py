"""What stands between a tower and a projector while a model is zipped, and who listens to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from vzlib.methods.before import Before, Further
from vzlib.methods.visionzip import reduced
from vzlib.models.question import Frame, asked_here
from vzlib.models.tower_parts import has_cls
from vzlib.models.towers import received_by_layer
from vzlib.tokens import Budget, ZippedTokens, check_finite
from vzlib.tokens.evidence import Encoded, Reduced

# Who listens in this thread, as (part of a model, list): see `recorded`.
_listeners: ContextVar[tuple[tuple[nn.Module, list[Any]], ...]] = ContextVar(
    "zipped_tokens_listeners", default=()
)
_last: WeakKeyDictionary[nn.Module, Reduced | tuple[ZippedTokens, int]] = WeakKeyDictionary()


class Looked(NamedTuple):
    """What a reduction may ask for besides the layer that is read.

    tower, inputs: what looked, and at what. projector: what the tokens go through.
    """

    tower: nn.Module
    inputs: tuple[Tensor, ...]
    projector: nn.Module


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
        _tell(core, evidence.scores, zipped, (kept, cut))
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

    def __call__(self, core: nn.Module, evidence: Encoded, looked: Looked) -> Tensor:
        """As of `ByBudget`. Raises ValueError where the method needs a question and there is none.

        A method that asks for the attention in every block costs another pass of the tower.
        """
        needs, found = self.method.needs, {}
        if "received" in needs:
            found["received"] = received_by_layer(looked.tower, *looked.inputs)
        if "received_from_all" in needs:
            found["received_from_all"] = received_by_layer(looked.tower, *looked.inputs, cls=False)
        if "projected" in needs:
            found["projected"] = looked.projector(evidence.hidden)
        if "text" in needs:
            text, words = asked_here(core, self.frame, self.total, len(evidence.hidden))
            found |= {"text": text, "words": words}
        made = self.method.reduce(
            evidence,
            self.total,
            has_cls=has_cls(looked.tower),
            seed=self.seed,
            further=Further(**found),
        )
        _tell(core, evidence.scores, made, made._replace(tokens=made.tokens.detach()))
        return made.tokens


Reduction = ByBudget | ByMethod


def _tell(core: nn.Module, scores: Tensor, made: Any, last: Any) -> None:
    if torch.compiler.is_compiling():
        return
    lists = [seen for listener, seen in _listeners.get() if listener is core]
    if lists or made.tokens.device.type == "cpu":
        check_finite(scores=scores, tokens=made.tokens)
    for seen in lists:
        seen.append(made)
    _last[core] = last


def last_reduced(core: nn.Module) -> Reduced | None:
    """What became of the tokens of the last images that this part of a model encoded."""
    last = _last.get(core)
    if last is None or isinstance(last, Reduced):
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
