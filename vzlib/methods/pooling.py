"""Average pooling: the control that forgets no patch and prefers none."""

import torch
from torch import Tensor

from vzlib.methods.grid import columns_by_row, side_of
from vzlib.methods.patches import patches_of
from vzlib.tokens.evidence import Encoded
from vzlib.tokens.precision import at_least_float32, without_autocast


def pooling(encoded: Encoded, retain: int, *, has_cls: bool, seed: int = 0) -> Tensor:
    """Mean of the patches in each cell of an even grid, in raster order.

    Published: adaptive average pooling to s x s cells, so only square numbers of tokens (the
    pooling rows of pruning benchmarks allow 16, 25, ...). Here: the same for square numbers; for
    every other `retain` the nearest grid that spends it exactly, some rows having one cell more.
    As there, neighbouring cells share a row or column of patches where the side is no multiple.
    Checked against: `adaptive_avg_pool2d` for square numbers; a constant image stays constant;
    every cell is a mean, and every patch is in one.
    Raises ValueError if the patches form no square.
    """
    patches = patches_of(encoded, retain, has_cls).hidden
    weights = cell_weights(patches.shape[1], retain).to(patches.device)
    with without_autocast(patches):
        return (weights @ at_least_float32(patches)).to(patches.dtype)


def cell_weights(patches: int, retain: int) -> Tensor:
    """Share of every patch in every cell, `[retain, patches]`; each cell's shares sum to 1."""
    side = side_of(patches)
    counts = columns_by_row(side, retain)
    cells = torch.zeros(retain, side, side)
    cell = iter(cells)
    for row, count in enumerate(counts):
        for column in range(count):
            next(cell)[_span(row, len(counts), side), _span(column, count, side)] = 1
    return (cells / cells.sum(dim=(1, 2), keepdim=True)).flatten(1)


def _span(part: int, parts: int, side: int) -> slice:
    """Patches along one side that a part touches."""
    return slice(part * side // parts, -(-(part + 1) * side // parts))
