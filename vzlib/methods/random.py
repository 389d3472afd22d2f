"""Random patches: the control without evidence."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vzlib.methods.before import Patches, Pruning


@dataclass(frozen=True)
class Random(Pruning):
    """Patches drawn without replacement for every image.

    The draw is made on the CPU from a generator of its own: the same on every device.
    """

    def choose(self, patches: Patches, retain: int) -> Tensor:
        generator = torch.Generator().manual_seed(patches.seed)
        draw = torch.rand(patches.hidden.shape[:2], generator=generator)
        index = draw.argsort(dim=1)[:, :retain].sort(dim=1).values
        return index.to(patches.hidden.device)
