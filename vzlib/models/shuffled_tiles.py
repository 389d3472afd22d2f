"""Tiles whose projector makes one token of n x n patches: reduced behind it, rated before it.

Pixels are shuffled in front of such a projector, which wants a whole grid. A token is rated by what
its patches receive together in the block of the layer that is read: from the CLS token, which does
not go on, or from all patches of the tile where there is none. One budget is shared among the tiles
of an image. Pixel values do not say which tiles those are: the zipped processor tells it as
`num_tiles`, which `forward` and `generate` take. Tokens go on tile after tile in raster order, what
merged at the place it merged into.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vzlib.models.processors import tiles_of_each
from vzlib.models.shape import Shape
from vzlib.models.tower_parts import Family
from vzlib.models.tower_pass import overhearing
from vzlib.models.views import ByView, Joined, seen_apart
from vzlib.tokens import received_attention
from vzlib.tokens.evidence import Encoded

# Tiles of each image of a call, if it said.
_tiles: ContextVar[Any] = ContextVar("tiles", default=None)


class Listened(NamedTuple):
    """A tower whose blocks are listened to.

    parts: where a block keeps what is heard. last: the block of the layer that is read, by index.
    unit: patches along a token.
    """

    blocks: Sequence[nn.Module]
    parts: Family
    last: int
    unit: int


class Run(NamedTuple):
    """Placeholders in a row, with the row of the batch, and the id that stands before them."""

    row: int
    length: int
    before: int


def told() -> dict[str, Any]:
    """What this call said of the tiles of its images."""
    return {"num_tiles": _tiles.get()}


def runs_of(config: Any, inputs: Mapping[str, Any]) -> list[Run] | None:
    """Placeholders of images in the order of the prompts; None without prompts."""
    ids = inputs.get("input_ids")
    if not isinstance(ids, Tensor):
        return None
    is_image = ids == config.image_token_id
    if "attention_mask" in inputs:
        is_image = is_image & inputs["attention_mask"].bool()
    change = nn.functional.pad(is_image, (1, 1)).int().diff(dim=1)
    (rows, starts), (_, ends) = (torch.nonzero(change == sign).T.tolist() for sign in (1, -1))
    places = zip(rows, starts, ends, strict=True)
    return [Run(row, end - start, int(ids[row, start - 1])) for row, start, end in places]


def shapes_of(
    inputs: Mapping[str, Any], each: int, stock: Callable[[], list[int] | None], apart: bool
) -> list[Shape]:
    """Images by their number of tiles, of `each` tokens.

    stock: tiles by the prompts of a stock processor, which does not say them otherwise.
    Raises ValueError if nothing says which tiles are of which image.
    """
    tiles = inputs.get("num_tiles")
    if tiles is None:
        tiles = tiles_of_each(inputs)
    if tiles is None:
        tiles = stock()
    if tiles is None:
        raise ValueError("it is not said which tiles are of which image: pass num_tiles, as the "
                         "zipped processor makes it")  # fmt: skip
    return [Shape(int(count), each, int(count) * each, apart=apart) for count in tiles]


def check_tiles(count: int, shapes: Sequence[Shape]) -> None:
    """Raise ValueError unless these images have so many tiles."""
    if sum(shape.views for shape in shapes) != count:
        raise ValueError(f"{count} tiles, but num_tiles={[shape.views for shape in shapes]}")


def reduced_behind(
    reduction: ByView,
    core: Any,
    tower: Listened,
    shapes: Sequence[Shape],
    stock: Callable[[], Any],
    tokens_of: Callable[[Any], Tensor],
) -> tuple[Any, list[Tensor]]:
    """What the stock method gives, and the tokens [K, H] of each image that go on.

    tokens_of: the tokens of all tiles, [T, S, H], in what the stock method gives.
    """
    needs, cls = reduction.method.needs, tower.parts.cls
    every = {"received", "received_from_all"} & set(needs)
    first_only = cls and "received_from_all" not in needs
    rated: dict[int, Tensor] = {}
    by_all: dict[int, Tensor] = {}
    keys_read: list[Tensor] = []

    def tell(index: int, queries: Tensor, keys: Tensor, scale: float) -> None:
        rating = queries[:, :, :1] if cls else queries
        rated[index] = _units(received_attention(rating, keys, scale), tower, "sum")
        if "received_from_all" in needs:
            by_all[index] = _units(received_attention(queries, keys, scale), tower, "sum")
        if index == tower.last:
            keys_read.append(_units(keys.mean(1), tower, "mean"))

    with ExitStack() as stack:
        for index in range(len(tower.blocks)) if every else (tower.last,):
            heard = overhearing(tower.blocks[index], tower.parts, first_only, partial(tell, index))
            stack.enter_context(heard)
        output = stock()
    hidden = tokens_of(output)
    further = {"projected": hidden}
    for name, found in (("received", rated), ("received_from_all", by_all)):
        if name in every:
            further[name] = torch.stack([found[index] for index in sorted(found)], dim=1)
    encoded = Encoded(hidden, rated[tower.last], keys_read[0])
    images = seen_apart(shapes, encoded, False, further)
    made = reduction(core, images, partial(_in_raster_order, hidden.shape[1]))
    tokens = [
        image.encoded.hidden.flatten(0, 1) if each is None else each.tokens[0]
        for image, each in zip(images, made, strict=True)
    ]
    return output, tokens


def forward(
    reduction: ByView, below: Callable[..., Any], core: Any, *arguments: Any, num_tiles: Any = None,
    **options: Any,
) -> Any:  # fmt: skip
    with knowing(num_tiles):
        return below(core, *arguments, **options)


def generate(
    reduction: ByView, below: Callable[..., Any], model: Any, *arguments: Any,
    num_tiles: Any = None, **options: Any,
) -> Any:  # fmt: skip
    with knowing(num_tiles):
        return below(model, *arguments, **options)


@contextmanager
def knowing(tiles: Any) -> Iterator[None]:
    """Meanwhile images have so many tiles, as `forward` and `generate` are told."""
    token = _tiles.set(tiles)
    try:
        yield
    finally:
        _tiles.reset(token)


def _units(values: Tensor, tower: Listened, how: str) -> Tensor:
    """Of tokens [T, S, ...], CLS first if there is one: sums or means over units of patches."""
    patches = values[:, int(tower.parts.cls) :]
    side = int(patches.shape[1] ** 0.5)
    grid = patches.unflatten(1, (side // tower.unit, tower.unit, side // tower.unit, tower.unit))
    merged = grid.sum((2, 4)) if how == "sum" else grid.mean((2, 4))
    return merged.flatten(1, 2)


def _in_raster_order(each: int, number: int, joined: Joined) -> Tensor:
    places = joined.reduced.places[0]  # what stands nowhere is the last of its tile
    return torch.where(places < 0, (joined.views + 1) * each - 1, places).argsort(stable=True)
