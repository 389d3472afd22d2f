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
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from vzlib.models.llava import layer, layers, placeholder_mask, projector, tower
from vzlib.models.reduction import Looked, looked_for
from vzlib.models.tower_parts import has_cls
from vzlib.models.towers import encode_as_asked
from vzlib.models.views import ByView, Joined, Shape, seen_apart

__all__ = ["layer", "projector", "tower"]  # as of LLaVA-1.5

VIEWS = True


def shapes(config: Any, inputs: Mapping[str, Any]) -> list[Shape]:
    """The images in what a processor makes of them. Raises ValueError if it tells no sizes."""
    from transformers.models.llava_next.modeling_llava_next import unpad_image

    if inputs.get("image_sizes") is None:
        raise ValueError("there are no image_sizes; make the inputs with a LlavaNextProcessor")
    found = []
    for size in inputs["image_sizes"]:
        side, (rows, columns) = _side(config), _tiles(config, size)
        canvas = torch.empty(1, rows * side, columns * side, device="meta")
        _, high, wide = unpad_image(canvas, tuple(int(each) for each in size)).shape
        stock = side * side + high * (wide + 1)
        found.append(Shape(1 + rows * columns, side * side, stock))
    return found


def largest(config: Any) -> Shape:
    """Views and tokens of the largest image there can be."""
    canvases = shapes(config, {"image_sizes": config.image_grid_pinpoints})  # all filled
    return max(canvases, key=lambda shape: shape.stock)


def image_features(
    reduction: ByView,
    below: Callable[..., Any],
    core: Any,
    pixel_values: Tensor,
    image_sizes: Tensor,
    vision_feature_layer: int | list[int] | None = None,
    vision_feature_select_strategy: str | None = None,
    return_dict: bool | None = None,
    **options: Any,
) -> Any:
    """As the stock method; `last_hidden_state` are the reduced tokens of all images, [K, D]."""
    *beside, read = layers(core, vision_feature_layer)
    found = shapes(core.config, {"image_sizes": image_sizes})
    if reduction.leaves(core, found):
        return below(
            core,
            pixel_values,
            image_sizes,
            vision_feature_layer=vision_feature_layer,
            vision_feature_select_strategy=vision_feature_select_strategy,
            return_dict=return_dict,
            **options,
        )
    counts = [shape.views for shape in found]
    if pixel_values.ndim == 5:  # padded to the largest number of views
        pixel_values = torch.cat([each[:n] for each, n in zip(pixel_values, counts, strict=True)])
    seen = core.vision_tower
    evidence, output = encode_as_asked(seen, pixel_values, layer=read, beside=beside, **options)
    looked = Looked(seen, (pixel_values,), projector(core))
    further = looked_for(reduction.method.needs, evidence, looked)
    images = seen_apart(found, evidence, has_cls(seen), further)
    made = reduction(core, images, partial(_packed, core.config, image_sizes))
    left = int(has_cls(seen))
    tokens = [
        image.encoded.hidden[:, left:].flatten(0, 1) if each is None else each.tokens[0]
        for image, each in zip(images, made, strict=True)
    ]
    projected = projector(core)(torch.cat(tokens)).split([len(each) for each in tokens])
    features: Any = [
        part if each is not None else _as_stock(core, part, shape, size)
        for part, each, shape, size in zip(projected, made, found, image_sizes, strict=True)
    ]
    reduced = BaseModelOutputWithPooling(
        last_hidden_state=torch.cat(tokens),
        pooler_output=features,
        hidden_states=output.hidden_states,
        attentions=output.attentions,
    )
    as_dict = core.config.return_dict if return_dict is None else return_dict
    return reduced if as_dict else reduced.to_tuple()


def _packed(config: Any, sizes: Any, number: int, joined: Joined) -> Tensor:
    """The order of the released code, of one image's tokens."""
    side, (rows, columns) = _side(config), _tiles(config, sizes[number])
    canvas = rows * columns * side * side
    count = joined.reduced.sources.shape[1] // (1 + rows * columns)
    cls = count - side * side
    tile, patch = joined.views - 1, joined.reduced.places[0] % count - cls
    y = tile.div(columns, rounding_mode="floor") * side + patch.div(side, rounding_mode="floor")
    x = tile % columns * side + patch % side
    place = torch.where(patch < 0, canvas, y * columns * side + x)
    nowhere = joined.merged | (joined.reduced.places[0] < 0)
    place = torch.where(nowhere, canvas + 1, place)
    return torch.where(joined.views == 0, -1, place).argsort(stable=True)


def _as_stock(core: Any, tokens: Tensor, shape: Shape, size: Any) -> Tensor:
    views = tokens.view(shape.views, shape.tokens, -1)
    strategy = core.config.vision_feature_select_strategy
    packed = core.pack_image_features([views], [size], strategy, core.image_newline)[0]
    features: Tensor = packed[0]
    return features


def _side(config: Any) -> int:
    side: int = config.vision_config.image_size // config.vision_config.patch_size
    return side


def _tiles(config: Any, size: Any) -> tuple[int, int]:
    """Rows and columns of tiles that an image of this height and width is cut into."""
    from transformers.models.llava_next.modeling_llava_next import get_anyres_image_grid_shape

    pinpoints, view = config.image_grid_pinpoints, config.vision_config.image_size
    grid: tuple[int, int] = get_anyres_image_grid_shape(
        tuple(int(each) for each in size), pinpoints, view
    )
    return grid


METHODS: Mapping[str, Callable[..., Any]] = {
    "get_image_features": image_features,
    "get_placeholder_mask": placeholder_mask,
}
OUTER: Mapping[str, Callable[..., Any]] = {}
