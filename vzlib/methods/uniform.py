"""Patches on an even grid: the control that knows only where a patch is."""

import torch
from torch import Tensor

from vzlib.methods.grid import columns_by_row, side_of
from vzlib.methods.patches import patches_of
from vzlib.tokens.evidence import Encoded


def uniform(encoded: Encoded, retain: int, *, has_cls: bool, seed: int = 0) -> Tensor:
    """Patches on an even grid, the same for every image. Raises ValueError if no square."""
    patches = patches_of(encoded, retain, has_cls).hidden
    return patches[:, even_grid(patches.shape[1], retain).to(patches.device)]


def even_grid(patches: int, retain: int) -> Tensor:
    """Raster indices `[retain]` of patches spread evenly over a square image, ascending."""
    side = side_of(patches)
    counts = columns_by_row(side, retain)
    index = []
    for row, count in enumerate(counts):
        y = (2 * row + 1) * side // (2 * len(counts))
        index += [y * side + (2 * column + 1) * side // (2 * count) for column in range(count)]
    return torch.tensor(index)
