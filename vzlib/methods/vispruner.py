"""VisPruner: important patches by attention, diverse ones among the rest."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vzlib.methods.before import Patches, Pruning
from vzlib.methods.method import Count, Share
from vzlib.methods.similarity import cosine


@dataclass(frozen=True)
class VisPruner(Pruning):
    """Half of the tokens by CLS attention, half by being unlike each other.

    Published (arXiv 2412.01818, ICCV 2025, and the released code): the most attended half of the
    budget is kept. The rest, most attended first, is thinned until the other half is left: of the
    tokens at even positions, the 8 most similar (cosine of hidden states) to one at an odd position
    go; what stays of them, most similar first, is put before the odd ones for the next round.
    Here: the same, and budgets for which the released rounds do not come out even (they fail) end
    with smaller rounds. Without a CLS token, the mean attention received.
    Checked against: small cases of the released rule worked out by hand; a plain loop over images;
    the important half is FasterVLM's choice at half the budget; a duplicate goes first; the tokens
    are less alike than FasterVLM's.

    important: share of the budget chosen by attention. dropped: duplicates removed at a time.
    """

    important: Share = 0.5
    dropped: Count = 8

    def choose(self, patches: Patches, retain: int) -> Tensor:
        important = int(retain * self.important)
        ranked = patches.scores.argsort(dim=1, descending=True, stable=True)
        similarity = cosine(patches.hidden, patches.hidden)
        rest = self._distinct(similarity, ranked[:, important:], retain - important)
        return torch.cat([ranked[:, :important], rest], dim=1).sort(dim=1).values

    def _distinct(self, similarity: Tensor, tokens: Tensor, count: int) -> Tensor:
        """`count` of the `tokens` [B, R] that are unlike the others, by `similarity` [B, S, S]."""
        image = torch.arange(len(tokens), device=tokens.device)[:, None, None]
        while (left := tokens.shape[1]) > max(count, 1):
            even, odd = tokens[:, ::2], tokens[:, 1::2]
            closest = similarity[image, even[:, :, None], odd[:, None, :]].amax(dim=2)
            dropped = min(self.dropped, left - count, left // 2)
            staying = closest.argsort(dim=1, descending=True, stable=True)[:, dropped:]
            tokens = torch.cat([even.gather(1, staying), odd], dim=1)
        return tokens[:, :count]
