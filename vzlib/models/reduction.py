"""What stands between a tower and a projector while a model is zipped, and who listens to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vzlib.models.tower_parts import has_cls
from vzlib.tokens import Budget, ZippedTokens, check_finite
from vzlib.tokens.evidence import Encoded

# Who listens in this thread, as (part of a model, list): see `recorded`.
_listeners: ContextVar[tuple[tuple[nn.Module, list[ZippedTokens]], ...]] = ContextVar(
    "zipped_tokens_listeners", default=()
)


@dataclass(frozen=True)
class Reduction:
    """From the tokens of one view of an image to those that the projector is given.

    budget: how many come out; without `cls` the CLS token is cut off first, having rated the rest.
    reduce: which ones; picklable, as it goes where the model goes.
    """

    budget: Budget
    reduce: Callable[[Encoded], ZippedTokens]

    def __call__(self, core: nn.Module, tower: nn.Module, evidence: Encoded) -> Tensor:
        """Tokens [B, budget.total, D] of B views.

        core: the part of the model that its listeners wait at. tower: what gave the evidence.
        Raises ValueError for tokens or scores that are not finite, where looking costs no wait.
        """
        if has_cls(tower) and not self.budget.cls:
            evidence = Encoded(*(part[:, 1:] for part in evidence))
        zipped = self.reduce(evidence)
        if not torch.compiler.is_compiling():
            lists = [seen for listener, seen in _listeners.get() if listener is core]
            if lists or zipped.tokens.device.type == "cpu":
                check_finite(scores=evidence.scores, tokens=zipped.tokens)
            for seen in lists:
                seen.append(zipped)
        return zipped.tokens


@contextmanager
def recorded(core: nn.Module) -> Iterator[list[ZippedTokens]]:
    """All that reductions at this part of a model return to this thread meanwhile."""
    seen: list[ZippedTokens] = []
    token = _listeners.set((*_listeners.get(), (core, seen)))
    try:
        yield seen
    finally:
        _listeners.reset(token)
