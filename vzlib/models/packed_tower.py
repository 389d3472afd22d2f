"""Towers that see images of any size packed into one sequence and merge patches, as Qwen's do.

A unit is what the merger makes one token of: 2 x 2 patches. Units are told in raster order, in
whatever order windows put them.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vzlib.models.shape import Shape
from vzlib.models.views import Seen
from vzlib.tokens import received_attention_packed
from vzlib.tokens.evidence import Encoded


def shapes(config: Any, inputs: Mapping[str, Any]) -> list[Shape]:
    """The images in what a processor makes of them, each one view; see `host.Host`."""
    merged, found, grid = config.vision_config.spatial_merge_size, [], inputs.get("image_grid_thw")
    if grid is None and inputs.get("pixel_values") is not None:
        raise ValueError("there is no image_grid_thw; make the inputs with the model's processor")
    for _, height, width in () if grid is None else grid:  # of an image, which is one frame
        rows, columns = int(height) // merged, int(width) // merged
        found.append(Shape(1, rows * columns, rows * columns, (rows, columns)))
    return found


class Heard:
    """What blocks told of their patches, by block.

    scores: [T] fp32, attention received from all patches of the same image (or frame), summed over
    queries and divided by their number: those in another window give none. keys: [T, d], mean over
    heads, rotated as attention sees them.
    """

    def __init__(self) -> None:
        self.scores: dict[int, Tensor] = {}
        self.keys: dict[int, Tensor] = {}


def rating_block(visual: Any) -> int:
    """The last block whose patches attend to their whole image."""
    whole = getattr(visual, "fullatt_block_indexes", None)
    return int(whole[-1]) if whole else len(visual.blocks) - 1


@contextmanager
def overhearing(visual: Any, blocks: Sequence[int], grid: Tensor) -> Iterator[Heard]:
    """Listen to blocks of this tower while this thread runs it; no attention map is made.

    grid: [N, 3], frames, rows and columns of patches of each image.
    """
    heard, reader = Heard(), threading.get_ident()
    frames = (grid[:, 1] * grid[:, 2]).repeat_interleave(grid[:, 0])
    of_frame = frames.repeat_interleave(frames)  # patches of the frame that a patch belongs to
    with ExitStack() as stack:
        for index in blocks:
            attention, given = visual.blocks[index].attn, dict[str, Any]()
            hooks = (
                attention.register_forward_pre_hook(
                    partial(_note, reader, given), with_kwargs=True
                ),
                attention.qkv.register_forward_hook(
                    partial(_hear, reader, attention, index, given, heard, of_frame)
                ),
            )
            for hook in hooks:
                stack.callback(hook.remove)
        yield heard


def _note(reader: int, given: dict[str, Any], _: Any, arguments: Any, options: Any) -> None:
    if threading.get_ident() == reader:
        given.update(options)


@torch.no_grad()
def _hear(
    reader: int,
    attention: Any,
    index: int,
    given: dict[str, Any],
    heard: Heard,
    of_frame: Tensor,
    _: Any,
    arguments: Any,
    output: Tensor,
) -> None:
    if threading.get_ident() != reader:
        return
    queries, keys, _ = output.unflatten(-1, (3, attention.num_heads, -1)).unbind(1)
    queries, keys = (_rotated(each, *given["position_embeddings"]) for each in (queries, keys))
    lengths = given["cu_seqlens"]
    received = received_attention_packed(
        queries.transpose(0, 1), keys.transpose(0, 1), attention.scaling, lengths
    )
    of_window = lengths.diff().repeat_interleave(lengths.diff())
    heard.scores[index] = received * of_window / of_frame
    heard.keys[index] = keys.mean(1)


def _rotated(vectors: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Vectors [T, H, d] turned by their place, in fp32 as the tower does it."""
    wide = vectors.float()
    first, second = wide.chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    rotated: Tensor = wide * cos.float().unsqueeze(1) + turned * sin.float().unsqueeze(1)
    return rotated.to(vectors.dtype)


def units(visual: Any, values: Tensor, grid: Tensor, how: str) -> Tensor:
    """Values [T, ...] of patches, their "sum" or "mean" over each unit, in raster order."""
    each = values.unflatten(0, (-1, visual.spatial_merge_size**2))
    merged = each.sum(1) if how == "sum" else each.mean(1)
    if not hasattr(visual, "window_size"):
        return merged
    from transformers.vision_utils import get_vision_window_index

    window, _ = get_vision_window_index(
        grid, visual.spatial_merge_size, visual.window_size, visual.patch_size
    )
    return merged[window.argsort().to(merged.device)]


def seen(
    visual: Any, found: Sequence[Shape], grid: Tensor, run: Callable[[], Any], every: Set[str]
) -> tuple[Any, list[Seen]]:
    """What `run`, which runs the tower once, returns, and what the tower tells of each image.

    every: what the method needs of all blocks, by the names of `Further`.
    """
    last = rating_block(visual)
    listened = range(len(visual.blocks)) if every else (last,)
    with overhearing(visual, listened, grid) as heard:
        output = run()
    by_block = {index: units(visual, scores, grid, "sum") for index, scores in heard.scores.items()}
    keys = units(visual, heard.keys[last], grid, "mean")
    received = torch.stack([by_block[index] for index in listened])
    counts = [shape.stock for shape in found]
    images = []
    for shape, hidden, scores, key, blocks in zip(
        found,
        output.pooler_output,
        by_block[last].split(counts),
        keys.split(counts),
        received.split(counts, dim=1),
        strict=True,
    ):
        further = {name: blocks.unsqueeze(0) for name in every}
        further["projected"] = hidden.unsqueeze(0)
        encoded = Encoded(*(part.unsqueeze(0) for part in (hidden, scores, key)))
        images.append(Seen(shape, encoded, False, further))
    return output, images
