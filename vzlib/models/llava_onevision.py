"""LLaVA-OneVision: tiles of one image, several images of one view each, clips of frames.

What differs from the stock model while it is zipped is what differs in LLaVA-NeXT, and:

- The tower has no CLS token; a token is rated by the attention it receives from its whole view.
- Tokens are chosen where the tower made them, before the stock model would shrink the grid of a
  large image, or pool a frame's 2 x 2: chosen tokens stand on no grid.
- `get_video_features` shares one budget among all frames of a clip, in their order. Of a chosen
  clip there is no newline token at the end either.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from vzlib.models.family import Methods, in_stock_form, no_largest, placeholder_mask, projector
from vzlib.models.llava import layer, layers, tower
from vzlib.models.shape import Shape
from vzlib.models.tiles import (
    flat,
    in_order_of_views,
    on_a_canvas,
    reduced_alike,
    reduced_views,
    side_of_a_view,
    sizes_of,
    tiles_of,
    unpadded,
)
from vzlib.models.views import ByView, Joined

__all__ = ["layer", "projector", "tower"]  # as of LLaVA-1.5

VIEWS, APART = True, False
TOLD: str | None = None
largest = no_largest  # of clips there is none


def shapes(config: Any, inputs: Mapping[str, Any]) -> list[Shape]:
    """Images, of which only one that is alone in its prompt is cut into tiles."""
    sizes, together = sizes_of(inputs, "LlavaOnevisionProcessor"), inputs.get("batch_num_images")
    if together is None:
        together = [1] * len(sizes)
    alone = [int(count) == 1 for count in together for _ in range(int(count))]
    pairs = zip(sizes, alone, strict=True)
    return [_tiled(config, size) if single else _one_view(config) for size, single in pairs]


def clips(config: Any, inputs: Mapping[str, Any]) -> list[Shape]:
    side = side_of_a_view(config)
    frames = [len(clip) for clip in inputs.get("pixel_values_videos", ())]
    return [Shape(count, side * side, count * math.ceil(side / 2) ** 2 + 1) for count in frames]


@in_stock_form
def image_features(
    reduction: ByView,
    stock: Callable[[], Any],
    core: Any,
    pixel_values: Tensor,
    image_sizes: Tensor,
    vision_feature_layer: int | list[int] | None = None,
    vision_feature_select_strategy: str | None = None,
    vision_aspect_ratio: str | None = None,
    batch_num_images: Any = None,
    **options: Any,
) -> Any:
    """As the stock method; `last_hidden_state` are the reduced tokens of all images, [K, D]."""
    read, config = layers(core, vision_feature_layer), core.config
    found = shapes(config, {"image_sizes": image_sizes, "batch_num_images": batch_num_images})
    if reduction.leaves(core, found):
        return stock()

    def order(number: int, joined: Joined) -> Tensor:
        if found[number].views == 1:
            return in_order_of_views(number, joined)
        return on_a_canvas(side_of_a_view(config), tiles_of(config, image_sizes[number]), joined)

    def whole(number: int, views: Tensor) -> Tensor:
        ratio = vision_aspect_ratio or config.vision_aspect_ratio
        sizes = image_sizes[[number]]
        packed: Tensor = core.pack_image_features([views], sizes, core.image_newline, ratio)[0][0]
        return packed

    views = flat(pixel_values, found)
    return reduced_views(
        reduction, core.vision_tower, core, views, found, read, order=order, whole=whole, **options
    )


@in_stock_form
def video_features(
    reduction: ByView,
    stock: Callable[[], Any],
    core: Any,
    pixel_values_videos: Tensor,
    vision_feature_layer: int | list[int] | None = None,
    **options: Any,
) -> Any:
    """As the stock method: `pooler_output` is [B, K, H]."""
    read = layers(core, vision_feature_layer)
    found = clips(core.config, {"pixel_values_videos": pixel_values_videos})
    if reduction.leaves(core, found):
        return stock()
    options.pop("vision_feature_select_strategy", None)
    frames = pixel_values_videos.flatten(0, 1)
    return reduced_alike(
        reduction, core.vision_tower, core, frames, found, read, "video", **options
    )


METHODS: Methods = {
    "get_image_features": image_features,
    "get_video_features": video_features,
    "get_placeholder_mask": placeholder_mask,
}
OUTER: Methods = {}


def _tiled(config: Any, size: Any) -> Shape:
    side, (rows, columns) = side_of_a_view(config), tiles_of(config, size)
    high, wide = unpadded(config, size)
    most = int(config.vision_aspect_ratio.removeprefix("anyres_max_"))
    ratio = math.sqrt(high * wide / (most * side**2))
    if ratio > 1.1:
        high, wide = int(high // ratio), int(wide // ratio)
    return Shape(1 + rows * columns, side * side, side * side + high * (wide + 1))


def _one_view(config: Any) -> Shape:
    tokens = side_of_a_view(config) ** 2
    return Shape(1, tokens, tokens + 1)
