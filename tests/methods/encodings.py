"""What a tower might have given, made up."""

import torch

from vzlib.tokens.evidence import Encoded


def encoding(
    side: int = 6, has_cls: bool = True, batch: int = 3, seed: int = 0, width: int = 12
) -> Encoded:
    """Random hidden states, scores of which a few stand out, and keys."""
    generator = torch.Generator().manual_seed(seed)
    count = side * side + has_cls
    hidden = torch.randn(batch, count, width, generator=generator)
    scores = torch.randn(batch, count, generator=generator).mul(2).softmax(1)
    return Encoded(hidden, scores, torch.randn(batch, count, 8, generator=generator))


def rows_of(tokens: torch.Tensor, hidden: torch.Tensor) -> list[int]:
    """Index into `hidden` [S, D] of every one of `tokens` [K, D], which must be copies of them."""
    equal = (tokens.unsqueeze(1) == hidden.unsqueeze(0)).all(2)
    assert (equal.sum(1) == 1).all(), "not every token is the copy of one patch"
    return equal.int().argmax(1).tolist()
