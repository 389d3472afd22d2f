"""LLaVA-NeXT: the whole image and its tiles, each seen by one tower, share one budget.

What differs from the stock model while it is zipped:

- `get_image_features` reduces the tokens of every view before the projector. They are packed as the
  released code packs them: those of the base view; of all tiles those that stand on a patch, in
  raster order of the whole canvas; the tiles' CLS tokens; what was merged, tile after tile.
- There are no newline tokens: between tokens that were chosen there is no end of a row. Nor is what
  was padded cut away before a choice. An image that has no more tokens than it may cost, newlines
  counted, is packed as the stock model does it, newlines and all.
- `get_placeholder_mask` explains a wrong number of placeholders.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from vzlib.models.family import Methods, in_stock_form, no_clips, placeholder_mask, projector
from vzlib.models.llava import layer, layers, tower
from vzlib.models.shape import Shape
from vzlib.models.tiles import (
    flat,
    on_a_canvas,
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
clips = no_clips


def shapes(config: Any, inputs: Mapping[str, Any]) -> list[Shape]:
    found, tokens = [], side_of_a_view(config) ** 2
    for size in sizes_of(inputs, "LlavaNextProcessor"):
        (rows, columns), (high, wide) = tiles_of(config, size), unpadded(config, size)
        found.append(Shape(1 + rows * columns, tokens, tokens + high * (wide + 1)))
    return found


def largest(config: Any) -> Shape | None:
    canvases = shapes(config, {"image_sizes": config.image_grid_pinpoints})  # all filled
    return max(canvases, key=lambda shape: shape.stock)


@in_stock_form
def image_features(
    reduction: ByView,
    stock: Callable[[], Any],
    core: Any,
    pixel_values: Tensor,
    image_sizes: Tensor,
    vision_feature_layer: int | list[int] | None = None,
    vision_feature_select_strategy: str | None = None,
    **options: Any,
) -> Any:
    """As the stock method; `last_hidden_state` are the reduced tokens of all images, [K, D]."""
    read = layers(core, vision_feature_layer)
    config, found = core.config, shapes(core.config, {"image_sizes": image_sizes})
    if reduction.leaves(core, found):
        return stock()

    def order(number: int, joined: Joined) -> Tensor:
        return on_a_canvas(side_of_a_view(config), tiles_of(config, image_sizes[number]), joined)

    def whole(number: int, views: Tensor) -> Tensor:
        strategy, sizes = config.vision_feature_select_strategy, [image_sizes[number]]
        packed: Tensor = core.pack_image_features([views], sizes, strategy, core.image_newline)[0][
            0
        ]
        return packed

    views = flat(pixel_values, found)
    return reduced_views(
        reduction, core.vision_tower, core, views, found, read, order=order, whole=whole, **options
    )


METHODS: Methods = {
    "get_image_features": image_features,
    "get_placeholder_mask": placeholder_mask,
}
OUTER: Methods = {}
