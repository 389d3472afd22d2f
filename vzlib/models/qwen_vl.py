"""Qwen2.5-VL and Qwen3-VL: images of any size, tokens reduced behind the merger, positions kept.

What differs from the stock model while it is zipped:

- `get_image_features` reduces what the merger gives, 2 x 2 patches a token, for these are what the
  language model reads and what positions count. A token is rated by the attention that its patches
  receive in the last block in which they attend to the whole image; there is no CLS token.
- Tokens go on in raster order, each with the position (time, row, column) that it has in the whole
  image, what merged with that of the token it merged into, and what stands nowhere with the last:
  `get_rope_index` gives these. Text behind an image keeps its positions, too.
- Of Qwen3-VL's features that enter early layers, a token has the mean of those that went into it.
- An image that has no more tokens than it may cost is left as it is. Videos are refused.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vzlib.models.family import (
    Methods,
    in_stock_form,
    no_clips,
    no_largest,
    placeholder_mask,
    refuse_videos,
)
from vzlib.models.packed_tower import rating_block, seen, shapes
from vzlib.models.qwen_call import forward, generate, known, rope_index
from vzlib.models.views import ByView, Joined
from vzlib.tokens.evidence import Reduced

__all__ = ["shapes"]

VIEWS, APART = True, False
TOLD: str | None = None
clips, largest = no_clips, no_largest


def tower(core: Any) -> nn.Module:
    visual: nn.Module = core.visual
    return visual


def layer(core: Any, asked: Any = None) -> int:
    """The block that rates, counted from the end: its tokens are those of the last in any case."""
    if asked is not None:
        raise ValueError(f"vision_feature_layer={asked!r}: {type(core).__name__} reads the last")
    return rating_block(core.visual) - len(core.visual.blocks)


def projector(core: Any) -> nn.Module:
    merger: nn.Module = core.visual.merger
    return merger


@in_stock_form
def image_features(
    reduction: ByView,
    stock: Callable[[], Any],
    core: Any,
    pixel_values: Tensor,
    image_grid_thw: Tensor,
    **options: Any,
) -> Any:
    """As the stock method, with fewer tokens of each image; `places` says where they stand."""
    call = known()
    if call is not None and call.get("pixels") is pixel_values:
        output = call.pop("output")
        del call["pixels"]
        return output
    found = shapes(core.config, {"image_grid_thw": image_grid_thw})
    if reduction.leaves(core, found):
        return stock()
    every = {"received", "received_from_all"} & set(reduction.method.needs)
    output, images = seen(core.visual, found, image_grid_thw, stock, every)
    made = reduction(core, images, _in_raster_order)
    output.pooler_output = tuple(
        whole if each is None else each.tokens[0]
        for whole, each in zip(output.pooler_output, made, strict=True)
    )
    if getattr(output, "deepstack_features", None) is not None:
        output.deepstack_features = [
            tuple(_with_sources(*pair) for pair in zip(features, made, strict=True))
            for features in output.deepstack_features
        ]
    output.places = [
        torch.arange(shape.stock) if each is None else _standing(each, shape.stock)
        for shape, each in zip(found, made, strict=True)
    ]
    if call is not None:
        call["places"] = output.places
    return output


METHODS: Methods = {
    "get_image_features": image_features,
    "get_video_features": refuse_videos,
    "get_placeholder_mask": placeholder_mask,
    "get_rope_index": rope_index,
    "forward": forward,
}
OUTER: Methods = {"generate": generate}


def _in_raster_order(number: int, joined: Joined) -> Tensor:
    places = joined.reduced.places[0]
    return torch.where(places < 0, joined.reduced.sources.shape[1], places).argsort(stable=True)


def _standing(reduced: Reduced, count: int) -> Tensor:
    places = reduced.places[0]
    return torch.where(places < 0, count - 1, places)


def _with_sources(features: Tensor, reduced: Reduced | None) -> Tensor:
    """For each token the mean of the features [S, E] that went into it: [K, E]."""
    if reduced is None:
        return features
    tokens = reduced.tokens.shape[1]
    member = reduced.sources == torch.arange(tokens, device=features.device).unsqueeze(1)
    weights = member / member.sum(1, keepdim=True).clamp(min=1)
    return (weights @ features.float()).to(features.dtype)
