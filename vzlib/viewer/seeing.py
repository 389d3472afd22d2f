"""What a tower sees of an image: the attention each patch receives, and where a patch attends."""

import numpy as np
import torch

from vzlib.models.load import Loaded
from vzlib.models.tower_parts import depth_of
from vzlib.models.towers import attention_rows, received_by_layer


def received(stock: Loaded, image: np.ndarray) -> np.ndarray:
    """[L, G, G]: the attention that each patch receives in every block of the tower.

    From the CLS token where there is one, else the mean over all tokens; image: [P, P, 3] uint8.
    """
    with torch.no_grad():
        layers = received_by_layer(stock.tower, stock.pixels([image]))[0]
    grids = layers[:, int(stock.has_cls) :].reshape(-1, stock.grid, stock.grid)
    return grids.cpu().numpy()


def attends_to(stock: Loaded, image: np.ndarray, block: int, patch: int) -> np.ndarray:
    """[G, G]: where the attention of a patch goes in one block, mean over heads.

    block: from 1. patch: its number in raster order.
    Raises ValueError for a block or a patch that there is not.
    """
    if not 0 <= patch < stock.patches:
        raise ValueError(f"patch={patch} must be between 0 and {stock.patches - 1}")
    with torch.no_grad():
        rows = attention_rows(
            stock.tower,
            stock.pixels([image]),
            layer=block,
            queries=[patch + int(stock.has_cls)],
        )
    grid = rows[0, 0, int(stock.has_cls) :].reshape(stock.grid, stock.grid)
    return grid.cpu().numpy()


def block_read(stock: Loaded) -> int:
    """The block, from 1, whose attention rates: that of the layer the language model reads."""
    return depth_of(stock.tower, stock.layer)
