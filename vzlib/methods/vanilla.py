"""No reduction."""

from dataclasses import dataclass

import torch

from vzlib.methods.before import OfPatches, Patches
from vzlib.tokens import BudgetError
from vzlib.tokens.evidence import Reduced


@dataclass(frozen=True)
class Vanilla(OfPatches):
    """Every patch, as stock LLaVA; `retain` must be their number."""

    def reduce_patches(self, patches: Patches, retain: int) -> Reduced:
        batch, count = patches.hidden.shape[:2]
        if retain != count:
            raise BudgetError(f"vanilla keeps all {count} patches, not {retain}")
        everywhere = torch.arange(count, device=patches.hidden.device).expand(batch, -1)
        return Reduced(patches.hidden, everywhere, everywhere)
