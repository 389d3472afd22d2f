"""Video-LLaVA: images of one view, and clips of eight frames, each frame with its CLS token.

What differs from the stock model while it is zipped: `get_image_features` and `get_video_features`
reduce what two towers of one kind give, before the projector. One budget is shared among the frames
of a clip, in their order: 136 tokens are the paper's 17 of each of 8 frames.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vzlib.models.llava import placeholder_mask, projector
from vzlib.models.tiles import in_order_of_views, reduced_views, side_of_a_view
from vzlib.models.tower_parts import blocks_of, family_of_config, layers_read
from vzlib.models.views import ByView, Shape

__all__ = ["projector"]  # as of LLaVA-1.5

VIEWS = True
TOLD: str | None = None


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


def largest(config: Any) -> Shape | None:
    return None  # of clips there is none


def image_features(
    reduction: ByView,
    below: Callable[..., Any],
    core: Any,
    pixel_values: Tensor | None = None,
    pixel_values_images: Tensor | None = None,
    vision_feature_layer: int | list[int] | None = None,
    vision_feature_select_strategy: str | None = None,
    return_dict: bool | None = None,
    **options: Any,
) -> Any:
    """As the stock method: `pooler_output` is [B, K, H]."""
    views = pixel_values_images if pixel_values is None else pixel_values
    found = shapes(core.config, {"pixel_values": views})
    options |= {"vision_feature_layer": vision_feature_layer, "return_dict": return_dict}
    if reduction.leaves(core, found):
        strategy = vision_feature_select_strategy
        return below(core, views, vision_feature_select_strategy=strategy, **options)
    return _reduced(reduction, core.image_tower, core, views, found, "image", **options)


def video_features(
    reduction: ByView,
    below: Callable[..., Any],
    core: Any,
    pixel_values_videos: Tensor,
    vision_feature_layer: int | list[int] | None = None,
    return_dict: bool | None = None,
    **options: Any,
) -> Any:
    """As the stock method, but that `pooler_output` is [B, K, H], not [B F, K, H]."""
    found = clips(core.config, {"pixel_values_videos": pixel_values_videos})
    options |= {"vision_feature_layer": vision_feature_layer, "return_dict": return_dict}
    if reduction.leaves(core, found):
        return below(core, pixel_values_videos, **options)
    frames = pixel_values_videos.flatten(0, 1)
    return _reduced(reduction, core.video_tower, core, frames, found, "video", **options)


METHODS: Mapping[str, Callable[..., Any]] = {
    "get_image_features": image_features,
    "get_video_features": video_features,
    "get_placeholder_mask": placeholder_mask,
}
OUTER: Mapping[str, Callable[..., Any]] = {}


def _layers(core: Any, asked: Any) -> tuple[int, ...]:
    asked = core.config.vision_feature_layer if asked is None else asked
    return layers_read(core.video_tower, asked)


def _reduced(
    reduction: ByView,
    seeing: Any,
    core: Any,
    views: Any,
    shapes: list[Shape],
    kind: str,
    *,
    vision_feature_layer: Any,
    return_dict: bool | None,
    **options: Any,
) -> Any:
    # All are of one shape, so that none is left as it is where one is not.
    reduced = reduced_views(
        reduction, seeing, core, views, shapes, _layers(core, vision_feature_layer),
        order=in_order_of_views, whole=lambda _, views: views.flatten(0, 1), kind=kind, **options,
    )  # fmt: skip
    features: Any = reduced.pooler_output
    reduced.pooler_output = torch.stack(features)
    return reduced if return_dict in (None, True) else reduced.to_tuple()
