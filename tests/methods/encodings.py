"""What a tower might have given, made up."""

import torch

from vzlib.methods.before import Further
from vzlib.methods.registry import method
from vzlib.tokens.evidence import Encoded, Reduced


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


def further(given: Encoded, blocks: int = 4, words: int = 5) -> Further:
    """Whatever a method may need besides, made of the image alone so that batches do not matter."""
    hidden, scores = given.hidden, given.scores
    received = torch.stack([(100 * scores * (block + 1)).cos() for block in range(blocks)], dim=1)
    mix = torch.arange(16.0 * hidden.shape[2]).view(-1, 16).square().cos().to(hidden)
    projected = hidden.sin() @ mix
    text = projected[:, -words:].flip(2) if hidden.shape[1] >= words else projected.flip(2)

    def smaller(rows: int, columns: int) -> torch.Tensor:
        return hidden[:, -1:] * torch.arange(1, rows * columns + 1).to(hidden)[:, None]

    return Further(received, received.flip(1), projected, text, smaller=smaller)


def reduced(name: str, given: Encoded, retain: int, has_cls: bool, seed: int = 0) -> Reduced:
    """What a registered method makes of an image, given all that it needs."""
    return method(name).reduce(given, retain, has_cls=has_cls, seed=seed, further=further(given))
