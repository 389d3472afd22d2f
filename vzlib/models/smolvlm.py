"""SmolVLM 1 and 2: tiles between separators, n x n patches a token, no CLS token.

What differs from the stock model while it is zipped: `get_image_features` reduces what the
connector gives, as `vzlib.models.shuffled_tiles` says. Each tile, and the whole image behind them,
has a row of placeholders of its own, with a tag before it that says where it is; tags and
separators stay, as text, also of a tile that has no token left. So each tile's part of the budget
is known before it is seen, and `share="attention"` is refused. The last block is read, and no block
can be left out. Videos, which these models read as images with times between them, are refused.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vzlib.models.family import Methods, in_stock_form, no_clips, no_largest, placeholder_mask
from vzlib.models.shape import Shape
from vzlib.models.shuffled_tiles import (
    Listened,
    check_tiles,
    forward,
    generate,
    reduced_behind,
    runs_of,
    shapes_of,
    told,
)
from vzlib.models.tower_parts import Family
from vzlib.models.views import ByView

__all__ = ["forward", "generate"]  # as of InternVL

VIEWS, APART = True, True
TOLD: str | None = "num_tiles"
PARTS = Family("layers", "layer_norm1", "self_attn", cls=False)
clips, largest = no_clips, no_largest


def tower(core: Any) -> nn.Module:
    found: nn.Module = core.vision_model
    return found


def layer(core: Any, asked: Any = None) -> int:
    if asked is not None:
        raise ValueError(f"vision_feature_layer={asked!r}: {type(core).__name__} reads the last")
    return -1


def projector(core: Any) -> nn.Module:
    found: nn.Module = core.connector
    return found


def shapes(config: Any, inputs: Mapping[str, Any]) -> list[Shape]:
    """Raises ValueError for placeholders that are not those of whole tiles, such as of a video."""
    eye = config.vision_config
    each = (eye.image_size // eye.patch_size // config.scale_factor) ** 2

    def stock() -> list[int] | None:
        runs = runs_of(config, inputs)
        if not runs:
            return runs if runs is None else []
        if lengths := {run.length for run in runs} - {each}:
            raise ValueError(
                f"{max(lengths)} image placeholders in a row, but a tile has {each}; make the "
                "inputs with the model's processor, stock or zipped"
            )
        whole = runs[-1].before  # the tag of the whole image, which ends each
        ends = [place for place, run in enumerate(runs, 1) if run.before == whole]
        return [end - start for start, end in zip([0, *ends], ends, strict=False)]

    return shapes_of(inputs, each, stock, APART)


@in_stock_form
def image_features(
    reduction: ByView,
    stock: Callable[[], Any],
    core: Any,
    pixel_values: Tensor,
    pixel_attention_mask: Tensor | None = None,
    **options: Any,
) -> Any:
    """As the stock method: `pooler_output` has the tokens [K, H] of all images of each prompt.

    Raises ValueError for tiles that are padded in part, which no processor makes.
    """
    found = shapes(core.config, told())
    if pixel_attention_mask is not None:
        shown = pixel_attention_mask.bool().flatten(2)
        if not torch.equal(shown.any(-1), shown.all(-1)):
            raise ValueError("pixel_attention_mask hides a part of a tile; allowed: whole tiles")
    in_prompt: list[int] = (pixel_values != 0).flatten(2).any(-1).sum(1).tolist()  # as stock does
    check_tiles(sum(in_prompt), found)
    if reduction.leaves(core, found):
        return stock()
    blocks, each = core.vision_model.encoder.layers, found[0].tokens
    listened = Listened(blocks, PARTS, len(blocks) - 1, core.config.scale_factor)
    output, tokens = reduced_behind(
        reduction, core, listened, found, stock,
        lambda output: torch.cat(output.pooler_output).unflatten(0, (-1, each)),
    )  # fmt: skip
    lengths = _lengths(found, tokens, in_prompt)
    output.pooler_output = list(torch.cat(tokens).split(lengths))
    return output


METHODS: Methods = {
    "get_image_features": image_features,
    "get_placeholder_mask": placeholder_mask,
    "forward": forward,
}
OUTER: Methods = {"generate": generate}


def _lengths(shapes: Sequence[Shape], tokens: Sequence[Tensor], in_prompt: list[int]) -> list[int]:
    """How many tokens the images of each prompt have, by how many tiles are in each."""
    left, lengths = iter(zip(shapes, tokens, strict=True)), []
    for tiles in in_prompt:
        length = 0
        while tiles > 0:
            shape, own = next(left)
            tiles, length = tiles - shape.views, length + len(own)
        lengths.append(length)
    return lengths
