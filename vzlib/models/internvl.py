"""InternVL 3 and 3.5: tiles of 448 pixels with a CLS token, 2 x 2 patches a token.

What differs from the stock model while it is zipped: `get_image_features` reduces what the
projector gives, 256 tokens a tile, as `vzlib.models.shuffled_tiles` says. The CLS token rates and
does not go on, as in the stock model. Released checkpoints read the last layer, so that no block
can be left out.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vzlib.models.family import (
    Methods,
    in_stock_form,
    no_clips,
    no_largest,
    placeholder_mask,
    projector,
)
from vzlib.models.shape import Shape
from vzlib.models.shuffled_tiles import (
    Listened,
    check_tiles,
    forward,
    generate,
    reduced_behind,
    runs_of,
    shapes_of,
    told,
)
from vzlib.models.tower_parts import Family
from vzlib.models.views import ByView

__all__ = ["forward", "generate", "projector"]  # as of others

VIEWS, APART = True, False
TOLD: str | None = "num_tiles"
PARTS = Family("layer", "layernorm_before", "attention", cls=True)
clips, largest = no_clips, no_largest


def tower(core: Any) -> nn.Module:
    found: nn.Module = core.vision_tower
    return found


def layer(core: Any, asked: Any = None) -> int:
    asked = core.config.vision_feature_layer if asked is None else asked
    blocks = len(core.vision_tower.encoder.layer)
    if type(asked) is not int or asked == 0 or not -blocks <= asked <= blocks:
        raise ValueError(
            f"vision_feature_layer={asked!r} must be one layer: 1 to {blocks} or -{blocks} to -1"
        )
    return asked


def shapes(config: Any, inputs: Mapping[str, Any]) -> list[Shape]:
    each = _tokens_of_a_tile(config)

    def stock() -> list[int] | None:  # all tiles of an image in a row
        runs = runs_of(config, inputs)
        return None if runs is None else [run.length // each for run in runs]

    return shapes_of(inputs, each, stock, APART)


@in_stock_form
def image_features(
    reduction: ByView,
    stock: Callable[[], Any],
    core: Any,
    pixel_values: Tensor,
    vision_feature_layer: int | None = None,
    **options: Any,
) -> Any:
    """As the stock method, but that `pooler_output` is [K, 1, H], all tokens one after the other.

    So beams repeat those of a prompt together, however many each of its images has.
    """
    found = shapes(core.config, told())
    check_tiles(len(pixel_values), found)
    if reduction.leaves(core, found):
        return stock()
    blocks = core.vision_tower.encoder.layer
    last = layer(core, vision_feature_layer) % (len(blocks) + 1) - 1
    listened = Listened(blocks, PARTS, last, round(1 / core.config.downsample_ratio))
    output, tokens = reduced_behind(
        reduction, core, listened, found, stock, lambda output: output.pooler_output
    )
    output.pooler_output = torch.cat(tokens).unsqueeze(1)
    return output


METHODS: Methods = {
    "get_image_features": image_features,
    "get_placeholder_mask": placeholder_mask,
    "forward": forward,
}
OUTER: Methods = {"generate": generate}


def _tokens_of_a_tile(config: Any) -> int:
    eye, ratio = config.vision_config, config.downsample_ratio
    height, width = (
        int(size // patch * ratio)
        for size, patch in zip(eye.image_size, eye.patch_size, strict=True)
    )
    return height * width
