"""Downsampling: the control that shows the tower a smaller image."""

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from vzlib.methods.before import OfPatches, Patches
from vzlib.methods.grid import shape_of
from vzlib.tokens import BudgetError
from vzlib.tokens.evidence import Reduced


@dataclass(frozen=True)
class Downsampling(OfPatches):
    """The image made so small that the tower gives `retain` tokens for it, and nothing is pruned.

    Published: the control of arXiv 2510.07143, a square image of sqrt(retain) patches a side, the
    position embeddings interpolated. Here: the same for square numbers; for every other the grid
    nearest to a square that spends it exactly, as 12 x 16 for 192 and 8 x 16 for 128, with more
    columns than rows, as writing runs along a row. The image is stretched to it, as a whole.
    Checked against: the tower itself on a smaller image; a grid that one can count.

    stretch: at most so many times as many columns as rows; 1 allows square numbers alone.

    The tower looks a second time here, at the small image, since zipping shows it the large one;
    alone it would look at the small one only. Raises BudgetError, naming the nearest numbers that
    can be, for one that is no such grid, and ValueError if the patches form no square.
    """

    stretch: Annotated[float, Field(ge=1)] = 2.0

    @property
    def needs(self) -> tuple[str, ...]:
        return ("smaller",)

    def check(self, retain: int, patches: int) -> None:
        self.grid(retain, shape_of(patches)[0])

    def grid(self, retain: int, side: int) -> tuple[int, int]:
        """Rows and columns of patches that `retain` tokens are. side: of the tower's own grid."""
        grids = self._grids(side)
        if retain in grids:
            return grids[retain]
        near = [max((n for n in grids if n < retain), default=None),
                min((n for n in grids if n > retain), default=None)]  # fmt: skip
        told = [f"{n} ({grids[n][0]} x {grids[n][1]})" for n in near if n is not None]
        raise BudgetError(
            f"retain={retain} is no grid of patches that an image can be made smaller to, at most "
            f"{self.stretch:g} times as wide as high; the nearest: {' and '.join(told)}"
        )

    def _grids(self, side: int) -> dict[int, tuple[int, int]]:
        """By number of tokens the grid nearest to a square."""
        shapes = [
            (rows, columns)
            for rows in range(1, side + 1)
            for columns in range(rows, int(min(side, self.stretch * rows)) + 1)
        ]
        # Of several grids the last one has most rows.
        return {rows * columns: (rows, columns) for rows, columns in shapes}

    def reduce_patches(self, patches: Patches, retain: int) -> Reduced:
        batch, count = patches.hidden.shape[:2]
        look, grid = patches.further.smaller, self.grid(retain, shape_of(count)[0])
        assert look is not None
        places, sources = (
            index.to(patches.hidden.device).expand(batch, -1) for index in _cells(*grid, count)
        )
        return Reduced(look(*grid), places, sources)


def _cells(rows: int, columns: int, patches: int) -> tuple[Tensor, Tensor]:
    """The patch in the middle of every cell, `[rows * columns]`, and the cell of every patch."""
    side = shape_of(patches)[0]
    y, x = ((2 * torch.arange(count) + 1) * side // (2 * count) for count in (rows, columns))
    places = (y[:, None] * side + x).flatten()
    along = torch.arange(side)
    cells = (along * rows // side)[:, None] * columns + along * columns // side
    return places, cells.flatten().scatter(0, places, torch.arange(rows * columns))
