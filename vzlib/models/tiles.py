"""An image as a base view and tiles of a canvas, or a clip as frames, seen by one tower each."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from vzlib.models.reduction import Looked, looked_for
from vzlib.models.shape import Shape
from vzlib.models.tower_parts import has_cls
from vzlib.models.towers import encode_as_asked
from vzlib.models.views import ByView, Joined, seen_apart


def reduced_views(
    reduction: ByView,
    tower: Any,
    core: Any,
    views: Tensor,
    shapes: Sequence[Shape],
    layers: Sequence[int],
    *,
    order: Callable[[int, Joined], Tensor],
    whole: Callable[[int, Tensor], Tensor],
    kind: str = "image",
    **options: Any,
) -> BaseModelOutputWithPooling:
    """The views of all images, one after the other, as a stock `get_image_features` returns them.

    layers: those read, side by side; the last one rates. order: in which the tokens of an image, by
    its number, go on. whole: what is made of the projected tokens [V, S, H] of an image that is
    left as it is. `last_hidden_state` are all tokens before the projector, [K, D].
    """
    *beside, read = layers
    evidence, output = encode_as_asked(tower, views, layer=read, beside=beside, **options)
    projector = core.multi_modal_projector
    further = looked_for(reduction.method.needs, evidence, Looked(tower, (views,), projector))
    images = seen_apart(shapes, evidence, has_cls(tower), further)
    made = reduction(core, images, order, kind)
    cut = int(has_cls(tower))
    tokens = [
        image.encoded.hidden[:, cut:].flatten(0, 1) if each is None else each.tokens[0]
        for image, each in zip(images, made, strict=True)
    ]
    projected = projector(torch.cat(tokens)).split([len(each) for each in tokens])
    features: Any = [
        part if each is not None else whole(number, part.unflatten(0, (shape.views, -1)))
        for number, (part, each, shape) in enumerate(zip(projected, made, shapes, strict=True))
    ]
    return BaseModelOutputWithPooling(
        last_hidden_state=torch.cat(tokens),
        pooler_output=features,
        hidden_states=output.hidden_states,
        attentions=output.attentions,
    )


def reduced_alike(
    reduction: ByView,
    tower: Any,
    core: Any,
    views: Tensor,
    shapes: Sequence[Shape],
    layers: Sequence[int],
    kind: str,
    **options: Any,
) -> BaseModelOutputWithPooling:
    """As `reduced_views` of images, or clips, all of one shape: `pooler_output` is [B, K, H]."""
    reduced = reduced_views(
        reduction, tower, core, views, shapes, layers,
        order=in_order_of_views, whole=lambda _, views: views.flatten(0, 1), kind=kind, **options,
    )  # fmt: skip
    features: Any = reduced.pooler_output
    reduced.pooler_output = torch.stack(features)
    return reduced


def flat(pixel_values: Tensor, shapes: Sequence[Shape]) -> Tensor:
    """Views one after the other, without those that pad an image to the largest number of them."""
    if pixel_values.ndim == 4:
        return pixel_values
    pairs = zip(pixel_values, shapes, strict=True)
    return torch.cat([views[: shape.views] for views, shape in pairs])


def in_order_of_views(number: int, joined: Joined) -> Tensor:
    return torch.arange(len(joined.views), device=joined.views.device)


def on_a_canvas(side: int, tiles: tuple[int, int], joined: Joined) -> Tensor:
    """The order of the released code, of one image's tokens.

    Those of the base view; of all tiles those that stand on a patch, in raster order of the whole
    canvas; the tiles' CLS tokens; what was merged, tile after tile. side: patches along a view.
    """
    rows, columns = tiles
    canvas = rows * columns * side * side
    count = joined.reduced.sources.shape[1] // (1 + rows * columns)
    cls = count - side * side
    tile, patch = joined.views - 1, joined.reduced.places[0] % count - cls
    y = tile.div(columns, rounding_mode="floor") * side + patch.div(side, rounding_mode="floor")
    x = tile % columns * side + patch % side
    place = torch.where(patch < 0, canvas, y * columns * side + x)
    apart = joined.merged | (joined.reduced.places[0] < 0)
    place = torch.where(apart, canvas + 1, place)
    return torch.where(joined.views == 0, -1, place).argsort(stable=True)


def side_of_a_view(config: Any) -> int:
    side: int = config.vision_config.image_size // config.vision_config.patch_size
    return side


def tiles_of(config: Any, size: Any) -> tuple[int, int]:
    """Rows and columns of tiles that an image of this height and width is cut into."""
    from transformers.models.llava_next.modeling_llava_next import get_anyres_image_grid_shape

    wanted = tuple(int(each) for each in size)
    view = config.vision_config.image_size
    grid: tuple[int, int] = get_anyres_image_grid_shape(wanted, config.image_grid_pinpoints, view)
    return grid


def unpadded(config: Any, size: Any) -> tuple[int, int]:
    """Rows and columns of patches on the canvas that show the image and no padding."""
    from transformers.models.llava_next.modeling_llava_next import unpad_image

    side, (rows, columns) = side_of_a_view(config), tiles_of(config, size)
    canvas = torch.empty(1, rows * side, columns * side, device="meta")
    _, high, wide = unpad_image(canvas, tuple(int(each) for each in size)).shape
    return high, wide


def sizes_of(inputs: Any, processor: str) -> Any:
    """Heights and widths of images. Raises ValueError if a processor of another family made it."""
    if inputs.get("image_sizes") is not None:
        return inputs["image_sizes"]
    if inputs.get("pixel_values") is not None:
        raise ValueError(f"there are no image_sizes; make the inputs with a {processor}")
    return []
