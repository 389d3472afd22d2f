"""The patches that somebody picks, as a method before the language model."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vzlib.methods.before import Patches, Pruning
from vzlib.tokens import BudgetError


@dataclass(frozen=True)
class ByHand(Pruning):
    """Keeps the patches that it is told, whatever is in the image, as the authors' demo does.

    patches: their numbers, in raster order and ascending.
    """

    patches: tuple[int, ...] = ()

    def check(self, retain: int, patches: int) -> None:
        wrong = [number for number in self.patches if not 0 <= number < patches]
        if retain != len(self.patches) or wrong or sorted(set(self.patches)) != [*self.patches]:
            raise BudgetError(
                f"retain={retain} of the patches {self.patches}: give as many different ones, "
                f"ascending, from 0 to {patches - 1}"
            )

    def choose(self, patches: Patches, retain: int) -> Tensor:
        chosen = torch.tensor(self.patches, device=patches.hidden.device)
        return chosen.expand(len(patches.hidden), -1)
