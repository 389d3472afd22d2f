"""What a tower makes of images that are shown to it smaller than it is used to."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import interpolate

from vzlib.models.tower_parts import has_cls
from vzlib.models.towers import encode_as_asked


def look_smaller(
    tower: nn.Module, inputs: Sequence[Tensor], layers: Sequence[int], rows: int, columns: int
) -> Tensor:
    """Patches `[B, rows * columns, F * D]` of F layers, for images made smaller to so many patches.

    inputs: as the tower takes them, pixel values [B, 3, H, W]. They are resized as they are, that
    is normalised, by cubic interpolation without aliasing; to the size they have, not at all.

    Raises ValueError for a tower that cannot be shown images of another size.
    """
    config: Any = tower.config
    pixels, size = inputs[0], (rows * config.patch_size, columns * config.patch_size)
    if tuple(pixels.shape[2:]) != size:
        small = interpolate(pixels.float(), size, mode="bicubic", antialias=True)
        pixels = small.to(pixels.dtype)
    *beside, read = layers
    encoded, _ = encode_as_asked(
        tower, pixels, *inputs[1:], layer=read, beside=beside, resized=True
    )
    return encoded.hidden[:, int(has_cls(tower)) :]
