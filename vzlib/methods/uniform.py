"""Patches on an even grid: the control that knows only where a patch is."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vzlib.methods.before import Patches, Pruning
from vzlib.methods.grid import columns_by_row, shape_of


@dataclass(frozen=True)
class Uniform(Pruning):
    """Patches on an even grid, the same for every image of a shape.

    Raises ValueError for patches of which no rows are known and that form no square.
    """

    def choose(self, patches: Patches, retain: int) -> Tensor:
        batch, count = patches.hidden.shape[:2]
        index = even_grid(count, retain, patches.further.grid)
        return index.to(patches.hidden.device).expand(batch, -1)


def even_grid(patches: int, retain: int, grid: tuple[int, int] | None = None) -> Tensor:
    """Raster indices `[retain]` of patches spread evenly over an image, ascending.

    grid: its rows and columns; None for a square.
    """
    high, wide = shape_of(patches, grid)
    counts = columns_by_row((high, wide), retain)
    index = []
    for row, count in enumerate(counts):
        y = (2 * row + 1) * high // (2 * len(counts))
        index += [y * wide + (2 * column + 1) * wide // (2 * count) for column in range(count)]
    return torch.tensor(index)
