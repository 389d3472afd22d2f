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

from vzlib.models.reduction import Looked, Reduction
from vzlib.models.tower_parts import blocks_of, family_of_config, layers_read
from vzlib.models.towers import encode_as_asked
from vzlib.models.views import Shape

VIEWS = False
TOLD: str | None = None


def tower(core: Any) -> nn.Module:
    blocks_of(core.vision_tower)
    return core.vision_tower


def layer(core: Any, asked: Any = None) -> int:
    return layers(core, asked)[-1]


def layers(core: Any, asked: Any) -> tuple[int, ...]:
    """All layers that are read, side by side; the last one rates."""
    asked = core.config.vision_feature_layer if asked is None else asked
    return layers_read(core.vision_tower, asked)


def projector(core: Any) -> nn.Module:
    return core.multi_modal_projector


def shapes(config: Any, inputs: Mapping[str, Any]) -> list[Shape]:
    """As many images as there are placeholders for: all cost the stock model the same."""
    ids, one = inputs.get("input_ids"), _shape(config)
    if not isinstance(ids, Tensor):
        return []
    real = inputs.get("attention_mask", torch.ones_like(ids)).bool()
    placeholders = int(((ids == config.image_token_id) & real).sum())
    return [one] * -(-placeholders // one.stock)


def no_clips(config: Any, inputs: Mapping[str, Any]) -> list[Shape]:
    """Of a family that is shown images alone. Raises ValueError for a video."""
    if inputs.get("pixel_values_videos") is not None or inputs.get("video_grid_thw") is not None:
        refuse_videos()
    return []


def refuse_videos(*_: Any, **options: Any) -> None:
    raise ValueError(
        "videos are not reduced in this family, only images; zip a model of LLaVA-OneVision or "
        "Video-LLaVA, or call this one as it is, behind undo"
    )


clips = no_clips


def largest(config: Any) -> Shape | None:
    return _shape(config)


def _shape(config: Any) -> Shape:
    eye = config.vision_config
    tokens = (eye.image_size // eye.patch_size) ** 2 + family_of_config(eye).cls
    cut = config.vision_feature_select_strategy == "default"
    return Shape(1, tokens, tokens + getattr(eye, "num_register_tokens", 0) - cut)


def image_features(
    reduction: Reduction,
    below: Callable[..., Any],
    core: Any,
    pixel_values: Tensor,
    vision_feature_layer: int | list[int] | None = None,
    vision_feature_select_strategy: str | None = None,
    image_sizes: Tensor | None = None,
    return_dict: bool | None = None,
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
    reduced = BaseModelOutputWithPooling(
        last_hidden_state=tokens,
        pooler_output=features,
        hidden_states=output.hidden_states,
        attentions=output.attentions,
    )
    as_dict = core.config.return_dict if return_dict is None else return_dict
    return reduced if as_dict else reduced.to_tuple()


def placeholder_mask(
    reduction: Any,
    below: Callable[..., Any],
    core: Any,
    input_ids: Tensor | None,
    inputs_embeds: Tensor,
    image_features: Tensor | None = None,
    **others: Any,
) -> Any:
    """The stock mask, or a ValueError that says what is amiss."""
    try:
        return below(core, input_ids, inputs_embeds, image_features, **others)
    except (ValueError, RuntimeError) as error:  # its message counts numbers, not tokens
        kind, features = "image", image_features
        if features is None:
            kind, features = "video", others.get("video_features")
        if input_ids is None or features is None:
            raise
        placeholders = int((input_ids == getattr(core.config, f"{kind}_token_id")).sum())
        tokens = features.numel() // features.shape[-1]
        if placeholders == tokens:  # something else is amiss
            raise
        raise ValueError(
            f"{placeholders} {kind} placeholders in the text, but {tokens} visual tokens "
            f"({reduction.said(tokens)}); make the text with the zipped processor, or pass it "
            "through shorten"
        ) from error


METHODS: Mapping[str, Callable[..., Any]] = {
    "get_image_features": image_features,
    "get_placeholder_mask": placeholder_mask,
}
OUTER: Mapping[str, Callable[..., Any]] = {}
