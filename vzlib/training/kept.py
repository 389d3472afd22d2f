"""What a frozen tower saw of training images, reduced to the tokens that stay."""

from collections.abc import Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from vzlib.evaluation.questions import Asked
from vzlib.evaluation.seen import seen
from vzlib.methods.before import Before
from vzlib.models.images import open_image
from vzlib.models.load import Loaded


@torch.no_grad()
def kept_tokens(
    loaded: Loaded, way: Before, retain: int, asked: Sequence[Asked], progress: bool = True
) -> Tensor:
    """Tokens `[N, K, D]` in float16 that the projector is given of N images.

    The tower looks once at each, whatever is made of what it sees, see `vzlib.evaluation.seen`.
    Raises ValueError for a method that needs more than the layer that is read.
    """
    if way.needs:
        raise ValueError(f"{way.name} needs {', '.join(way.needs)}, which is not kept of images")
    bar = tqdm(asked, desc=f"images, {retain} tokens", unit="image", disable=not progress)
    return torch.cat(
        [
            way.reduce(
                seen(loaded, loaded.pixels([open_image(one.image)])).encoded,
                retain,
                has_cls=loaded.has_cls,
            ).tokens.half()
            for one in bar
        ]
    )
