"""Choosing tokens that together cover much: a greedy choice, within 1 - 1/e of the best there is.

(Nemhauser, Wolsey and Fisher 1978: coverage is monotone and submodular.)
"""

import torch
from torch import Tensor

from vzlib.tokens.merging import take_tokens

# Numbers of `covers` that are looked at together: on a CPU one image of 576 patches, which fits a
# core's cache, at twice the speed of 16 images together. A GPU takes all.
TOGETHER = {"cpu": 2**19}


def most_covering(covers: Tensor, retain: int, worth: Tensor) -> Tensor:
    """Tokens [B, retain], ascending, chosen one by one for what they add; of equals the first.

    A choice covers row i by the highest of its `covers` there, or 0; what a token adds is summed
    over rows and multiplied by its own `worth`.

    covers: [B, R, S], how far each of S tokens covers each of R rows. worth: [B, S].
    """
    batch, rows, tokens = covers.shape
    images = max(1, TOGETHER.get(covers.device.type, batch * rows * tokens) // (rows * tokens))
    parts = zip(covers.split(images), worth.split(images), strict=True)
    return torch.cat([_most_covering(*part, retain) for part in parts])


def _most_covering(covers: Tensor, worth: Tensor, retain: int) -> Tensor:
    columns = covers.transpose(1, 2).contiguous()  # [B, S, R]
    covered = columns.new_zeros(columns.shape[0], 1, columns.shape[2])
    taken = torch.zeros_like(worth, dtype=torch.bool)
    more = torch.empty_like(columns)  # written anew at every step
    for _ in range(retain):
        gain = torch.sub(columns, covered, out=more).relu_().sum(dim=2) * worth
        best = gain.masked_fill(taken, -torch.inf).argmax(dim=1, keepdim=True)
        taken = taken.scatter(1, best, True)
        covered = torch.maximum(covered, take_tokens(columns, best))
    return places_of(taken, retain)


def places_of(chosen: Tensor, count: int) -> Tensor:
    """Where `chosen` [B, S] is True: [B, count], ascending; it must be so at `count` places."""
    return chosen.logical_not().long().argsort(dim=1, stable=True)[:, :count]
