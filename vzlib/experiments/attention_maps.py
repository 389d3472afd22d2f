"""The attention of every head in every block, one block at a time, from one pass of a tower.

`vzlib.models.towers` never forms a map, because the method needs none. To look at attention itself
the maps are wanted; here they are formed outside the model from its queries and keys, so the model
runs with any attention implementation.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vzlib.models.load import Loaded, load
from vzlib.models.tower_parts import family_of


@lru_cache(maxsize=1)
def loaded(name: str) -> Loaded:
    """`vzlib.load`, which the analyses of one notebook then do once."""
    return load(name)


def tower_of(name: str) -> Any:
    """The vision tower of a model."""
    return loaded(name).model.model.vision_tower


@torch.no_grad()
def maps_by_layer(tower: nn.Module, pixels: Tensor) -> Iterator[Tensor]:
    """Softmax attention of block 1, 2, ... as [B, H, S (queries), S (keys)], fp32.

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


def pixels_of(name: str, image: np.ndarray) -> Tensor:
    """A square image uint8 [P, P, 3] as the tower of a model wants it: [1, 3, P', P']."""
    model, processor = loaded(name).model, loaded(name).processor
    prepared = processor.image_processor(images=[np.ascontiguousarray(image)], return_tensors="pt")
    return prepared["pixel_values"].to(model.device, model.dtype)


def grid_of(tower: nn.Module) -> int:
    """Patches along one side of the tower's image."""
    config: Any = tower.config
    return config.image_size // config.patch_size


def scene_patch(tower: nn.Module, side: int) -> int:
    """Pixels of a scene `side` pixels wide that one patch of the tower sees.

    Raises ValueError if the tower's grid does not divide the scene.
    """
    grid = grid_of(tower)
    if side % grid:
        raise ValueError(
            f"scenes of {side} pixels do not fall into the {grid} x {grid} patches of this tower"
        )
    return side // grid
