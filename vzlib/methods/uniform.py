"""Patches on an even grid: the control that knows only where a patch is."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vzlib.methods.before import Patches, Pruning
from vzlib.methods.grid import columns_by_row, side_of


@dataclass(frozen=True)
class Uniform(Pruning):
    """Patches on an even grid, the same for every image. Raises ValueError if no square."""

    def choose(self, patches: Patches, retain: int) -> Tensor:
        batch, count = patches.hidden.shape[:2]
        return even_grid(count, retain).to(patches.hidden.device).expand(batch, -1)


def even_grid(patches: int, retain: int) -> Tensor:
    """Raster indices `[retain]` of patches spread evenly over a square image, ascending."""
    side = side_of(patches)
    counts = columns_by_row(side, retain)
    index = []
    for row, count in enumerate(counts):
        y = (2 * row + 1) * side // (2 * len(counts))
        index += [y * side + (2 * column + 1) * side // (2 * count) for column in range(count)]
    return torch.tensor(index)
