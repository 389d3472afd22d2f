"""Video-LLaVA: images of one view, and clips of eight frames, each frame with its CLS token.

What differs from the stock model while it is zipped: `get_image_features` and `get_video_features`
reduce what two towers of one kind give, before the projector. One budget is shared among the frames
of a clip, in their order: 136 tokens are the paper's 17 of each of 8 frames.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from vzlib.models.family import Methods, in_stock_form, no_largest, placeholder_mask, projector
from vzlib.models.shape import Shape
from vzlib.models.tiles import reduced_alike, side_of_a_view
from vzlib.models.tower_parts import blocks_of, family_of_config, layers_read
from vzlib.models.views import ByView

__all__ = ["projector"]  # as of most

VIEWS, APART = True, False
TOLD: str | None = None
largest = no_largest  # of clips there is none


def tower(core: Any) -> nn.Module:
    """That of videos; the one of images is of its kind."""
    blocks_of(core.video_tower)
    found: nn.Module = core.video_tower
    return found


def layer(core: Any, asked: Any = None) -> int:
    return _layers(core, asked)[-1]


def shapes(config: Any, inputs: Mapping[str, Any]) -> list[Shape]:
    pixels = inputs.get("pixel_values")
    if pixels is None:
        pixels = inputs.get("pixel_values_images", ())
    tokens = side_of_a_view(config) ** 2
    cls = family_of_config(config.vision_config).cls
    stays = cls and config.vision_feature_select_strategy != "default"
    return [Shape(1, tokens, tokens + stays)] * len(pixels)


def clips(config: Any, inputs: Mapping[str, Any]) -> list[Shape]:
    tokens, cls = side_of_a_view(config) ** 2, family_of_config(config.vision_config).cls
    frames = [len(clip) for clip in inputs.get("pixel_values_videos", ())]
    return [Shape(count, tokens, count * (tokens + cls)) for count in frames]


@in_stock_form
def image_features(
    reduction: ByView,
    stock: Callable[[], Any],
    core: Any,
    pixel_values: Tensor | None = None,
    pixel_values_images: Tensor | None = None,
    vision_feature_layer: int | list[int] | None = None,
    vision_feature_select_strategy: str | None = None,
    **options: Any,
) -> Any:
    """As the stock method: `pooler_output` is [B, K, H]."""
    views: Any = pixel_values_images if pixel_values is None else pixel_values
    found = shapes(core.config, {"pixel_values": views})
    if reduction.leaves(core, found):
        return stock()
    read, seeing = _layers(core, vision_feature_layer), core.image_tower
    return reduced_alike(reduction, seeing, core, views, found, read, "image", **options)


@in_stock_form
def video_features(
    reduction: ByView,
    stock: Callable[[], Any],
    core: Any,
    pixel_values_videos: Tensor,
    vision_feature_layer: int | list[int] | None = None,
    **options: Any,
) -> Any:
    """As the stock method, but that `pooler_output` is [B, K, H], not [B F, K, H]."""
    found = clips(core.config, {"pixel_values_videos": pixel_values_videos})
    if reduction.leaves(core, found):
        return stock()
    read, frames = _layers(core, vision_feature_layer), pixel_values_videos.flatten(0, 1)
    return reduced_alike(reduction, core.video_tower, core, frames, found, read, "video", **options)


METHODS: Methods = {
    "get_image_features": image_features,
    "get_video_features": video_features,
    "get_placeholder_mask": placeholder_mask,
}
OUTER: Methods = {}


def _layers(core: Any, asked: Any) -> tuple[int, ...]:
    asked = core.config.vision_feature_layer if asked is None else asked
    return layers_read(core.video_tower, asked)
