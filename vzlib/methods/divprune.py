"""DivPrune: the patches that are farthest from each other."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vzlib.methods.before import Patches, Pruning
from vzlib.methods.similarity import cosine
from vzlib.tokens.merging import take_tokens


@dataclass(frozen=True)
class DivPrune(Pruning):
    """Patches chosen greedily to maximise the smallest distance between two.

    Published (arXiv 2503.02175, CVPR 2025): max-min diversity by cosine distance. The first patch
    is the one farthest from its nearest neighbour, each next one the farthest from those chosen.
    Here: the same, on the tower's features, as most methods here; published, on the projector's
    output: `compared="projected"`. No attention is used, so CLS or not is the same.
    Checked against: a plain greedy loop; at least as diverse as any of many random choices, and
    the guarantee of farthest-first choice: half of the best smallest chord (brute force).

    compared: what tells patches apart, the tower's features or what the projector makes of them.
    """

    compared: Literal["hidden", "projected"] = "hidden"

    @property
    def needs(self) -> tuple[str, ...]:
        return ("projected",) if self.compared == "projected" else ()

    def choose(self, patches: Patches, retain: int) -> Tensor:
        features = patches.given("projected") if self.needs else patches.hidden
        distance = 1 - cosine(features, features)
        return farthest_first(distance, retain).sort(dim=1).values


def farthest_first(distance: Tensor, retain: int) -> Tensor:
    """Tokens [B, retain] in the order of choice, by `distance` [B, S, S]; of equals the first."""
    itself = torch.eye(distance.shape[1], dtype=torch.bool, device=distance.device)
    chosen = [distance.masked_fill(itself, torch.inf).amin(dim=2).argmax(dim=1, keepdim=True)]
    nearest = torch.full_like(distance[:, 0], torch.inf)  # distance to those chosen, [B, S]
    while len(chosen) < retain:
        to_last = take_tokens(distance, chosen[-1]).squeeze(1)
        nearest = torch.minimum(nearest, to_last).scatter(1, chosen[-1], -torch.inf)
        chosen.append(nearest.argmax(dim=1, keepdim=True))
    return torch.cat(chosen, dim=1)
