"""HiPrune: things by the attention of a middle layer, the whole by that of a late one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vzlib.methods.before import Patches, Pruning
from vzlib.methods.coverage import places_of
from vzlib.methods.grid import shape_of
from vzlib.methods.method import Count, Share

PUBLISHED = (9, 24)  # the block that looks at things, of CLIP ViT-L's


@dataclass(frozen=True)
class HiPrune(Pruning):
    """Anchors of a middle layer with their neighbours, and registers of the last layer but one.

    Published (arXiv 2508.00553, and the released code): attention received from all tokens, CLS
    among them, mean over heads. A fiftieth of the budget (alpha / 5) are anchors, the most attended
    patches of the 9th of 24 blocks; the patches left, right, above and below each one stay too. (A
    row goes on in the next, and a neighbour outside the image is its first or last patch.) The most
    attended of the last block but one, among all others, fill the budget.
    Here: the same, budgets that neighbours overfill cut among them. On a tower of another depth the
    9th of 24 is scaled.
    Checked against: a plain loop in sets; a case by hand.

    alpha: share of the budget for anchors and neighbours. layer: the block of anchors, from 1.
    Raises ValueError for patches of which no rows are known and that form no square, and for a
    block that the tower has not.
    """

    alpha: Share = 0.1
    layer: Count | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        return ("received_from_all",)

    def choose(self, patches: Patches, retain: int) -> Tensor:
        received = patches.given("received_from_all")
        batch, blocks, count = received.shape
        middle = self.layer or max(1, round(PUBLISHED[0] * blocks / PUBLISHED[1]))
        if middle > blocks:
            raise ValueError(f"layer={middle} must be between 1 and {blocks}, the tower's blocks")
        _, wide = shape_of(count, patches.further.grid)
        ranked = received[:, middle - 1].argsort(dim=1, descending=True, stable=True)
        anchors = ranked[:, : round(retain * self.alpha / 5)]
        steps = torch.tensor([-1, 1, -wide, wide], device=anchors.device)
        around = (anchors.unsqueeze(2) + steps).clamp(0, count - 1).flatten(1)
        rank = torch.zeros(batch, count, dtype=torch.long, device=anchors.device)
        rank = rank.scatter(1, around, 1).scatter(1, anchors, 2)

        late = received[:, max(blocks - 2, 0)].argsort(dim=1, descending=True, stable=True)
        first = rank.gather(1, late).argsort(dim=1, descending=True, stable=True)[:, :retain]
        chosen = torch.zeros_like(rank, dtype=torch.bool).scatter(1, late.gather(1, first), True)
        return places_of(chosen, retain)
