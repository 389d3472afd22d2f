"""Average pooling: the control that forgets no patch and prefers none."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vzlib.methods.before import OfPatches, Patches
from vzlib.methods.grid import columns_by_row, shape_of
from vzlib.tokens.evidence import Reduced
from vzlib.tokens.precision import at_least_float32, without_autocast


@dataclass(frozen=True)
class Pooling(OfPatches):
    """Mean of the patches in each cell of an even grid, in raster order.

    Published: adaptive average pooling to s x s cells, so only square numbers of tokens (the
    pooling rows of pruning benchmarks allow 16, 25, ...). Here: the same for square numbers; for
    every other `retain` the nearest grid that spends it exactly, some rows having one cell more.
    As there, neighbouring cells share a row or column of patches where the side is no multiple.
    A cell stands at its middle; a patch of several cells is told of the first.
    Checked against: `adaptive_avg_pool2d` for square numbers; a constant image stays constant;
    every cell is a mean, and every patch is in one.
    Raises ValueError for patches of which no rows are known and that form no square.
    """

    def reduce_patches(self, patches: Patches, retain: int) -> Reduced:
        hidden = patches.hidden
        weights, middles = cells(hidden.shape[1], retain, patches.further.grid)
        sources = weights.argmax(dim=0).scatter(0, middles, torch.arange(retain))
        places, sources = (
            index.to(hidden.device).expand(len(hidden), -1) for index in (middles, sources)
        )
        with without_autocast(hidden):
            tokens = (weights.to(hidden.device) @ at_least_float32(hidden)).to(hidden.dtype)
        return Reduced(tokens, places, sources)


def cells(patches: int, retain: int, grid: tuple[int, int] | None = None) -> tuple[Tensor, Tensor]:
    """Share of every patch in every cell, `[retain, patches]`, and the cells' middles `[retain]`.

    grid: rows and columns of the image; None for a square. The shares of a cell sum to 1; no two
    cells have the same middle.
    """
    high, wide = shape_of(patches, grid)
    counts = columns_by_row((high, wide), retain)
    shares, middles = torch.zeros(retain, high, wide), []
    cell = iter(shares)
    for row, count in enumerate(counts):
        for column in range(count):
            spans = _span(row, len(counts), high), _span(column, count, wide)
            next(cell)[spans] = 1
            y, x = ((span.start + span.stop - 1) // 2 for span in spans)
            middles.append(y * wide + x)
    return (shares / shares.sum(dim=(1, 2), keepdim=True)).flatten(1), torch.tensor(middles)


def _span(part: int, parts: int, side: int) -> slice:
    """Patches along one side that a part touches."""
    return slice(part * side // parts, -(-(part + 1) * side // parts))
