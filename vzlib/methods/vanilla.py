"""No reduction."""

from dataclasses import dataclass

import torch

from vzlib.methods.before import OfPatches, Patches
from vzlib.tokens import BudgetError
from vzlib.tokens.evidence import Reduced


@dataclass(frozen=True)
class Vanilla(OfPatches):
    """Every patch, as stock LLaVA; `retain` must be their number."""

    def check(self, retain: int, patches: int) -> None:
        if retain != patches:
            raise BudgetError(f"vanilla keeps all {patches} patches, not {retain}")

    def reduce_patches(self, patches: Patches, retain: int) -> Reduced:
        batch, count = patches.hidden.shape[:2]
        self.check(retain, count)
        everywhere = torch.arange(count, device=patches.hidden.device).expand(batch, -1)
        return Reduced(patches.hidden, everywhere, everywhere)
