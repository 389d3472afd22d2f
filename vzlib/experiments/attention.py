"""What the vision tower of a model attends to in pictures, with and without forming its maps."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from vzlib.evaluation.pictures import Picture
from vzlib.models.load import Loaded
from vzlib.models.tower_parts import blocks_of, depth_of, family_of
from vzlib.models.tower_pass import Told, run
from vzlib.models.towers import without_registers
from vzlib.tokens import received_attention

BATCH = 8


def read_layer(
    model: Loaded, pictures: Sequence[Picture], layer: int, what: str
) -> Iterator[tuple[Picture, str, Tensor]]:
    """Attention [S] that the tokens of each picture receive in one layer, by each rule.

    The rules are "cls", attention from the CLS token, where there is one, and "mean", the mean over
    all queries. layer: index into the tower's hidden_states. what: named by the progress bar.
    """
    block = depth_of(model.tower, layer) - 1
    for batch, pixels in _pixels(model, pictures, what):
        for rule, received in _received(model, pixels, range(block, block + 1)).items():
            yield from (
                (picture, rule, row[0]) for picture, row in zip(batch, received, strict=True)
            )


def every_layer(
    model: Loaded, pictures: Sequence[Picture], what: str
) -> Iterator[tuple[Picture, str, Tensor, int]]:
    """Attention [L, P] on the patches of each picture in every layer, by each rule, and the number
    of the layer, from 1, that the language model reads.

    Raises ValueError for a model that reads several layers.
    """
    read, first = depth_of(model.tower, model.layer), int(model.has_cls)
    blocks = range(len(blocks_of(model.tower)))
    for batch, pixels in _pixels(model, pictures, what):
        for rule, received in _received(model, pixels, blocks).items():
            yield from (
                (picture, rule, layers, read)
                for picture, layers in zip(batch, received[..., first:], strict=True)
            )


def _received(model: Loaded, pixels: Tensor, blocks: range) -> dict[str, Tensor]:
    """Attention [B, L, S] that the tokens receive in some blocks, by every rule, in one pass."""
    found: dict[str, list[Tensor]] = {rule: [] for rule in _rules(model)}

    def tell(queries: Tensor, keys: Tensor, scale: float) -> None:
        for rule, cls in _rules(model).items():
            asking = queries[:, :, :1] if cls else queries
            found[rule].append(received_attention(asking, keys, scale).cpu())

    told: dict[int, Told] = dict.fromkeys(blocks, tell)
    run(model.tower, (pixels,), None, depth=blocks.stop, told=told, first_only=False)
    return {
        rule: without_registers(model.tower, torch.stack(layers, dim=1), dim=2)
        for rule, layers in found.items()
    }


def _rules(model: Loaded) -> dict[str, bool]:
    return {"cls": True, "mean": False} if model.has_cls else {"mean": False}


def _pixels(
    model: Loaded, pictures: Sequence[Picture], what: str
) -> Iterator[tuple[Sequence[Picture], Tensor]]:
    """Pictures and their pixels [B, 3, H, W], batch after batch, with a progress bar."""
    quick = len(pictures) <= BATCH
    bar = tqdm(total=len(pictures), desc=what, unit="image", disable=quick)
    with bar, torch.no_grad():
        for start in range(0, len(pictures), BATCH):
            batch = pictures[start : start + BATCH]
            yield batch, model.pixels([picture.image for picture in batch])
            bar.update(len(batch))


@torch.no_grad()
def maps_by_layer(tower: nn.Module, pixels: Tensor) -> Iterator[Tensor]:
    """Softmax attention of block 1, 2, ... as [B, H, S (queries), S (keys)], fp32.

    `vzlib.models.towers` never forms a map, because the method needs none. Here they are formed
    outside the model from its queries and keys, one block at a time from one pass, so the model
    runs with any attention implementation.

    pixels: [B, 3, H, W]. Raises ValueError for an unsupported tower and for one with registers,
    which are tokens but not patches.
    """
    family, config = family_of(tower), tower.config
    if getattr(config, "num_register_tokens", 0):
        raise ValueError(f"{type(tower).__name__} has registers; a tower without is needed here")
    encoder: Any = tower.encoder
    attentions = [getattr(block, family.attention) for block in getattr(encoder, family.blocks)]
    seen: dict[tuple[int, str], Tensor] = {}

    def keep(index: int, part: str) -> Any:
        return lambda module, inputs, output: seen.__setitem__((index, part), output)

    handles = [
        getattr(attention, f"{part}_proj").register_forward_hook(keep(index, part))
        for index, attention in enumerate(attentions)
        for part in ("q", "k")
    ]
    try:
        tower(pixel_values=pixels)
    finally:
        for handle in handles:
            handle.remove()
    for index, attention in enumerate(attentions):
        queries, keys = (
            seen.pop((index, part)).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2).float()
            for part in ("q", "k")
        )
        yield (queries @ keys.transpose(-1, -2) * attention.head_dim**-0.5).softmax(-1)


def scene_patch(model: Loaded, side: int) -> int:
    """Pixels of a scene `side` pixels wide that one patch of the tower sees.

    Raises ValueError if the tower's grid does not divide the scene.
    """
    grid = model.grid
    if side % grid:
        raise ValueError(
            f"scenes of {side} pixels do not fall into the {grid} x {grid} patches of this tower"
        )
    return side // grid
