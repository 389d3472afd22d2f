"""LLaVA-1.5: one tower, one layer read, one view an image; a family as `host.Host` describes it.

What differs from the stock model while it is zipped:

- `get_image_features` reduces the tower's tokens before the projector. `forward` and `generate`
  both go through this method, so positions, masks, caches, beams and labels are those of a shorter
  prompt and need no change.
- `get_placeholder_mask` explains a wrong number of placeholders.

`vision_feature_select_strategy` has no say while a model is zipped: `Budget.cls` decides on the CLS
token.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from vzlib.models.family import Methods, in_stock_form, no_clips, placeholder_mask, projector
from vzlib.models.reduction import Looked, Reduction
from vzlib.models.shape import Shape
from vzlib.models.tower_parts import blocks_of, family_of_config, layers_read
from vzlib.models.towers import encode_as_asked

__all__ = ["projector"]  # as of most

VIEWS, APART = False, False
TOLD: str | None = None
clips = no_clips


def tower(core: Any) -> nn.Module:
    blocks_of(core.vision_tower)
    return core.vision_tower


def layer(core: Any, asked: Any = None) -> int:
    return layers(core, asked)[-1]


def layers(core: Any, asked: Any) -> tuple[int, ...]:
    """All layers that are read, side by side; the last one rates."""
    asked = core.config.vision_feature_layer if asked is None else asked
    return layers_read(core.vision_tower, asked)


def shapes(config: Any, inputs: Mapping[str, Any]) -> list[Shape]:
    """As many images as there are placeholders for: all cost the stock model the same."""
    ids, one = inputs.get("input_ids"), _shape(config)
    if not isinstance(ids, Tensor):
        return []
    real = inputs.get("attention_mask", torch.ones_like(ids)).bool()
    placeholders = int(((ids == config.image_token_id) & real).sum())
    return [one] * -(-placeholders // one.stock)


def largest(config: Any) -> Shape | None:
    return _shape(config)


def _shape(config: Any) -> Shape:
    eye = config.vision_config
    tokens = (eye.image_size // eye.patch_size) ** 2 + family_of_config(eye).cls
    cut = config.vision_feature_select_strategy == "default"
    return Shape(1, tokens, tokens + getattr(eye, "num_register_tokens", 0) - cut)


@in_stock_form
def image_features(
    reduction: Reduction,
    stock: Callable[[], Any],
    core: Any,
    pixel_values: Tensor,
    vision_feature_layer: int | list[int] | None = None,
    vision_feature_select_strategy: str | None = None,
    image_sizes: Tensor | None = None,
    **options: Any,
) -> Any:
    """As the stock method, with the reduced tokens as `last_hidden_state`.

    `pooler_output` has one entry [K, H] per image, what the projector makes of them. Of the tower,
    `hidden_states` holds the layer that was read, and None for the others, as in stock; all of them
    if they were asked for, and `attentions` likewise: then every block runs.
    """
    if vision_feature_select_strategy not in (None, "default", "full"):
        raise ValueError(
            f"vision_feature_select_strategy={vision_feature_select_strategy!r} must be 'default' "
            "or 'full'"
        )
    seen = core.vision_tower
    *beside, read = layers(core, vision_feature_layer)
    options.setdefault("output_attentions", seen.config.output_attentions)
    evidence, output = encode_as_asked(seen, pixel_values, layer=read, beside=beside, **options)
    looked = Looked(seen, (pixel_values,), projector(core), (*beside, read))
    tokens = reduction(core, evidence, looked)
    features: Any = list(projector(core)(tokens))  # transformers declares a tensor
    return BaseModelOutputWithPooling(
        last_hidden_state=tokens,
        pooler_output=features,
        hidden_states=output.hidden_states,
        attentions=output.attentions,
    )


METHODS: Methods = {
    "get_image_features": image_features,
    "get_placeholder_mask": placeholder_mask,
}
OUTER: Methods = {}
