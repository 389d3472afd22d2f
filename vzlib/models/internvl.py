"""InternVL 3 and 3.5: tiles of 448 pixels with a CLS token, 2 x 2 patches a token.

What differs from the stock model while it is zipped:

- `get_image_features` reduces what the projector gives, 256 tokens a tile, as pixels are shuffled
  before it and want a whole grid. A token is rated by the attention of CLS to its patches, in the
  block of the layer that is read; the CLS token itself does not go on, as in the stock model.
- One budget is shared among the tiles of an image. Pixel values do not say which tiles those are:
  the zipped processor tells it as `num_tiles`, which `forward` and `generate` take.
- Tokens go on tile after tile in raster order, what merged at the place it merged into.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
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
from vzlib.models.tower_parts import Family
from vzlib.models.tower_pass import overhearing
from vzlib.models.views import ByView, Joined, Shape, seen_apart
from vzlib.tokens import received_attention
from vzlib.tokens.evidence import Encoded

__all__ = ["projector"]  # as of most

VIEWS = True
TOLD: str | None = "num_tiles"
PARTS = Family("layer", "layernorm_before", "attention", cls=True)
clips, largest = no_clips, no_largest
# Tiles of each image of a call, if it said.
_tiles: ContextVar[Any] = ContextVar("tiles", default=None)


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
    """Images by their number of tiles; those of a stock processor by their runs of placeholders."""
    each = _tokens_of_a_tile(config)
    tiles = inputs.get("num_tiles", inputs.get("num_patches"))
    if tiles is None and isinstance(inputs.get("input_ids"), Tensor):
        is_image = inputs["input_ids"] == config.image_token_id
        if "attention_mask" in inputs:
            is_image = is_image & inputs["attention_mask"].bool()
        is_image = nn.functional.pad(is_image, (1, 1)).int().diff(dim=1)  # in the order of prompts
        starts, ends = (torch.nonzero(is_image == sign)[:, 1] for sign in (1, -1))
        tiles = (ends - starts) // each
    if tiles is None:
        raise ValueError("it is not said which tiles are of which image: pass num_tiles, as the "
                         "zipped processor makes it")  # fmt: skip
    return [Shape(int(count), each, int(count) * each) for count in tiles]


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
    found = shapes(core.config, {"num_tiles": _tiles.get()})
    if sum(shape.views for shape in found) != len(pixel_values):
        raise ValueError(
            f"{len(pixel_values)} tiles, but num_tiles={[shape.views for shape in found]}"
        )
    if reduction.leaves(core, found):
        return stock()
    needs, blocks = reduction.method.needs, core.vision_tower.encoder.layer
    last = layer(core, vision_feature_layer) % (len(blocks) + 1) - 1
    by_cls: dict[int, Tensor] = {}
    by_all: dict[int, Tensor] = {}
    keys_read: list[Tensor] = []

    def tell(index: int, queries: Tensor, keys: Tensor, scale: float) -> None:
        by_cls[index] = _units(received_attention(queries[:, :, :1], keys, scale), "sum")
        if "received_from_all" in needs:
            by_all[index] = _units(received_attention(queries, keys, scale), "sum")
        if index == last:
            keys_read.append(_units(keys.mean(1), "mean"))

    every = {"received", "received_from_all"} & set(needs)
    first_only = "received_from_all" not in needs
    with ExitStack() as stack:
        for index in range(len(blocks)) if every else (last,):
            told = partial(tell, index)
            stack.enter_context(overhearing(blocks[index], PARTS, first_only, told))
        output = stock()
    hidden = output.pooler_output
    further = {"projected": hidden}
    if every:
        further["received"] = torch.stack([by_cls[index] for index in sorted(by_cls)], dim=1)
    if by_all:
        further["received_from_all"] = torch.stack([by_all[i] for i in sorted(by_all)], dim=1)
    encoded = Encoded(hidden, by_cls[last], keys_read[0])
    images = seen_apart(found, encoded, False, further)
    made = reduction(core, images, _in_raster_order)
    output.pooler_output = torch.cat(
        [
            image.encoded.hidden.flatten(0, 1) if each is None else each.tokens[0]
            for image, each in zip(images, made, strict=True)
        ]
    ).unsqueeze(1)
    return output


def forward(
    reduction: ByView, below: Callable[..., Any], core: Any, *arguments: Any, num_tiles: Any = None,
    **options: Any,
) -> Any:  # fmt: skip
    with _knowing(num_tiles):
        return below(core, *arguments, **options)


def generate(
    reduction: ByView, below: Callable[..., Any], model: Any, *arguments: Any,
    num_tiles: Any = None, **options: Any,
) -> Any:  # fmt: skip
    with _knowing(num_tiles):
        return below(model, *arguments, **options)


METHODS: Methods = {
    "get_image_features": image_features,
    "get_placeholder_mask": placeholder_mask,
    "forward": forward,
}
OUTER: Methods = {"generate": generate}


@contextmanager
def _knowing(tiles: Any) -> Iterator[None]:
    token = _tiles.set(tiles)
    try:
        yield
    finally:
        _tiles.reset(token)


def _tokens_of_a_tile(config: Any) -> int:
    eye, ratio = config.vision_config, config.downsample_ratio
    height, width = (
        int(size // patch * ratio)
        for size, patch in zip(eye.image_size, eye.patch_size, strict=True)
    )
    return height * width


def _units(values: Tensor, how: str) -> Tensor:
    """Of tokens [T, 1 + S, ...] with CLS: sums or means over 2 x 2 patches, [T, S / 4, ...]."""
    side = int((values.shape[1] - 1) ** 0.5)
    grid = values[:, 1:].unflatten(1, (side // 2, 2, side // 2, 2))
    merged = grid.sum((2, 4)) if how == "sum" else grid.mean((2, 4))
    return merged.flatten(1, 2)


def _in_raster_order(number: int, joined: Joined) -> Tensor:
    places, count = joined.reduced.places[0], joined.reduced.sources.shape[1]
    each = count // (int(joined.views.max()) + 1) if len(joined.views) else count
    return torch.where(places < 0, (joined.views + 1) * each - 1, places).argsort(stable=True)
