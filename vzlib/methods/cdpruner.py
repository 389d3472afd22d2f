"""CDPruner: patches unlike each other, counted by what they have to do with the question."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vzlib.methods.before import Patches, Pruning
from vzlib.methods.coverage import places_of
from vzlib.methods.similarity import cosine
from vzlib.tokens.precision import without_autocast

LEAST = 1e-6  # relevance of the least relevant patch, as released


@dataclass(frozen=True)
class CDPruner(Pruning):
    """Patches that span the largest volume, each as long as it is relevant.

    Published (arXiv 2506.10967, NeurIPS 2025, and the released code): a determinantal point process
    on the cosines of projected patches, each multiplied by the relevance of both; its most likely
    choice, greedily. Relevance is a patch's mean cosine with the question in the space of CLIP,
    *inverted*, as CLIP's patches are most like what they do not show, and scaled from 0 to 1.
    Here: the same process. Relevance is the mean cosine of the projected patch with the question's
    tokens as the language model embeds them, which needs no second model (so does OpenVINO GenAI,
    which inverts for towers of CLIP); it is scaled image by image, released over a batch.
    Once the space is full, where the released code divides by what is left of a length of 0, the
    most relevant of what rounding leaves follow.
    Checked against: brute force over determinants, step by step; a case by hand.

    inverted: patches that are unlike the question are the relevant ones.
    """

    inverted: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        return ("projected", "text")

    def choose(self, patches: Patches, retain: int) -> Tensor:
        projected, words = patches.given("projected"), patches.words()
        alike = cosine(projected, patches.given("text")) * words.unsqueeze(1)
        relevance = alike.sum(dim=2) / words.sum(dim=1, keepdim=True)
        relevance = scaled(-relevance if self.inverted else relevance)
        kernel = cosine(projected, projected) * relevance.unsqueeze(1) * relevance.unsqueeze(2)
        return largest_volume(kernel, retain)


def scaled(relevance: Tensor) -> Tensor:
    """Relevance [B, S] from nearly 0 to 1; 1 where all is equally relevant."""
    low, high = relevance.amin(dim=1, keepdim=True), relevance.amax(dim=1, keepdim=True)
    return (relevance - low + LEAST) / (high - low).clamp(min=LEAST)


def largest_volume(kernel: Tensor, retain: int) -> Tensor:
    """Tokens [B, retain], ascending, each the one that adds most to the determinant of `kernel`.

    kernel: [B, S, S], symmetric, not negative. (Chen, Zhang and Zhou 2018: an incremental Cholesky
    decomposition; S * retain numbers of memory.)
    """
    batch, count = kernel.shape[:2]
    left = kernel.diagonal(dim1=1, dim2=2).clone()  # squared length beside what is spanned
    full = 1e-6 * left.amax(dim=1, keepdim=True)
    basis = kernel.new_zeros(batch, retain, count)
    taken = torch.zeros(batch, count, dtype=torch.bool, device=kernel.device)
    image = torch.arange(batch, device=kernel.device)
    for number in range(retain):
        best = left.masked_fill(taken, -torch.inf).argmax(dim=1)
        length = left.gather(1, best.unsqueeze(1))
        own = basis[image, :, best].unsqueeze(1)  # [B, 1, retain], zeros from `number` on
        with without_autocast(kernel):
            fresh = kernel[image, best] - (own @ basis).squeeze(1)
        fresh = torch.where(length > full, fresh / length.clamp(min=1e-30).sqrt(), 0)
        basis[:, number] = fresh
        left = left - fresh.square()
        taken = taken.scatter(1, best.unsqueeze(1), True)
    return places_of(taken, retain)
