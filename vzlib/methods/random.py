"""Random patches: the control without evidence."""

import torch
from torch import Tensor

from vzlib.methods.patches import patches_of
from vzlib.tokens.evidence import Encoded
from vzlib.tokens.merging import take_tokens


def random(encoded: Encoded, retain: int, *, has_cls: bool, seed: int = 0) -> Tensor:
    """Patches drawn without replacement for every image, in raster order.

    The draw is made on the CPU from a generator of its own: the same on every device.
    """
    patches = patches_of(encoded, retain, has_cls).hidden
    draw = torch.rand(patches.shape[:2], generator=torch.Generator().manual_seed(seed))
    index = draw.argsort(dim=1)[:, :retain].sort(dim=1).values
    return take_tokens(patches, index.to(patches.device))
