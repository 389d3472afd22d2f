"""The vision towers that are supported, and where each class keeps its parts."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import nn


class Family(NamedTuple):
    """Where a class of transformers keeps the parts a pass needs.

    inputs: the arguments of its `forward` and their axes. mask: that for padding, if it takes one.
    resized: what its embeddings are told with an image of another size, so that they interpolate
        their positions; None if they cannot.
    """

    blocks: str
    norm: str
    attention: str
    cls: bool
    inputs: Mapping[str, str] = {"pixel_values": "B3HW"}
    mask: str | None = None
    resized: Mapping[str, bool] | None = None


INTERPOLATED = {"interpolate_pos_encoding": True}
FAMILIES = {
    "CLIPVisionModel": Family("layers", "layer_norm1", "self_attn", cls=True, resized=INTERPOLATED),
    "SiglipVisionModel": Family(
        "layers", "layer_norm1", "self_attn", cls=False, resized=INTERPOLATED
    ),
    "Siglip2VisionModel": Family(
        "layers",
        "layer_norm1",
        "self_attn",
        cls=False,
        inputs={"pixel_values": "BSP", "spatial_shapes": "B2"},
        mask="pixel_attention_mask",
    ),
    # These interpolate unasked.
    "Dinov2Model": Family("layer", "norm1", "attention", cls=True, resized={}),
    "Dinov2WithRegistersModel": Family("layer", "norm1", "attention", cls=True, resized={}),
}


def family_of(tower: nn.Module) -> Family:
    """The family of a vision tower.

    Raises ValueError, naming the class and the supported ones, for anything else.
    """
    inside = getattr(tower, "_orig_mod", tower)  # of one that torch.compile wrapped
    for parent in type(inside).__mro__:  # by name, so that no model file is imported just to ask
        if parent.__name__ in FAMILIES:
            return FAMILIES[parent.__name__]
    raise ValueError(
        f"{type(inside).__name__} is not a supported vision tower; supported: {', '.join(FAMILIES)}"
    )


def family_of_config(config: Any) -> Family:
    """The family of the tower that a config makes. Raises ValueError as `family_of`."""
    for parent in type(config).__mro__:
        if (name := parent.__name__.replace("Config", "Model")) in FAMILIES:
            return FAMILIES[name]
    raise ValueError(
        f"{type(config).__name__} makes no supported vision tower; supported: {', '.join(FAMILIES)}"
    )


def has_cls(tower: nn.Module) -> bool:
    """Whether the tower has a CLS token (at index 0 of everything `encode` returns)."""
    return family_of(tower).cls


def token_count(tower: nn.Module) -> int:
    """Tokens `encode` returns for an image of the configured size: patches, and CLS if any.

    Raises ValueError for SigLIP 2, whose number of patches depends on the image.
    """
    config: Any = tower.config
    if not hasattr(config, "image_size"):
        raise ValueError(f"{type(tower).__name__} has no fixed number of tokens per image")
    return (config.image_size // config.patch_size) ** 2 + has_cls(tower)


def depth_of(tower: nn.Module, layer: int) -> int:
    """Number of blocks behind `hidden_states[layer]`; the evidence is that of the last of them.

    Raises ValueError for a layer out of range, and for layer 0, the input of the first block, which
    no attention has produced.
    """
    if not isinstance(layer, int) or isinstance(layer, bool):
        raise ValueError(f"layer must be one whole number, not {layer!r}")
    blocks = len(blocks_of(tower))
    if not -blocks <= layer <= blocks or layer == 0:
        raise ValueError(
            f"layer {layer} has no attention to rate tokens by; allowed: 1 to {blocks} "
            f"and -{blocks} to -1"
        )
    return layer % (blocks + 1)


def depths_beside(tower: nn.Module, layer: int, beside: Sequence[int]) -> tuple[int, ...]:
    """The same of layers that are read beside `layer`. Raises ValueError unless they are before."""
    depth, depths = depth_of(tower, layer), tuple(depth_of(tower, each) for each in beside)
    if any(each >= depth for each in depths) or len(set(depths)) < len(depths):
        raise ValueError(
            f"layers {[*beside, layer]} are read together: each must be named once and the "
            "deepest, which rates, last"
        )
    return depths


def layers_read(tower: nn.Module, asked: Any) -> tuple[int, ...]:
    """The layers that LLaVA's `vision_feature_layer` names, one or several side by side.

    The last of several is the deepest, and rates the tokens. Raises ValueError for anything else.
    """
    layers = tuple(asked) if isinstance(asked, list | tuple) else (asked,)
    if not layers:
        raise ValueError(f"vision_feature_layer={asked!r} names no layer; give one, such as -2")
    depths_beside(tower, layers[-1], layers[:-1])
    return layers


def blocks_of(tower: nn.Module) -> nn.ModuleList:
    family = family_of(tower)  # first, as an unknown tower may have no encoder to look into
    return getattr(tower.encoder, family.blocks)
