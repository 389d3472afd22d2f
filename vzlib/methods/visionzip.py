"""VisionZip (arXiv 2412.04467), with either of its two merge rules."""

from torch import Tensor

from vzlib.tokens import Budget, select_and_merge
from vzlib.tokens.evidence import Encoded


def visionzip(encoded: Encoded, retain: int, *, has_cls: bool, seed: int = 0) -> Tensor:
    """VisionZip as released: 54:10, CLS kept, contextual = target + mean of what it merges."""
    budget = Budget.retain(retain, has_cls=has_cls)
    return select_and_merge(*encoded, budget, "code").tokens


def visionzip_paper(encoded: Encoded, retain: int, *, has_cls: bool, seed: int = 0) -> Tensor:
    """VisionZip as written: contextual = mean of the whole group (Algorithm 2)."""
    budget = Budget.retain(retain, has_cls=has_cls)
    return select_and_merge(*encoded, budget, "paper").tokens
