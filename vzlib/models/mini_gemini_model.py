"""Mini-Gemini (Li et al., 2024) of stock parts: CLIP tokens mine the features of a ConvNeXt.

transformers has no class of it. What is here follows the paper's Section 3 and, where it is silent,
the released code: the same picture is seen by CLIP, smaller, and by ConvNeXt; of ConvNeXt all four
stages are laid over each other at the size of the first; each CLIP token attends to the window of
these features that shows its patch, and what it finds is added to it. The rest is LLaVA: layer -2,
no CLS token, a projector of two layers, a Llama. HD variants, which cut images up, are not here.
"""

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageTextToText,
    ConvNextConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaModel,
    PreTrainedConfig,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils.generic import can_return_tuple


class MiniGeminiConfig(LlavaConfig):
    """As of LLaVA, with the ConvNeXt, and for which tokens is mined while the model is zipped.

    mined: "all" chooses among mined tokens, so that what merges has all that was mined for its
        parts; "kept" mines for the chosen ones alone, a merged one where it stands, which is
        cheaper. Tokens that stay as they are come out alike.
    """

    model_type = "mini_gemini"
    sub_configs_defaults: ClassVar[Any] = {
        **LlavaConfig.sub_configs_defaults,
        "aux_config": ConvNextConfig,
    }

    aux_config: dict[str, Any] | PreTrainedConfig | None = None
    mined: Literal["all", "kept"] = "all"


class MiniGeminiModel(LlavaModel):
    """A LLaVA whose visual tokens are mined; parts have the names of the released checkpoint."""

    config: MiniGeminiConfig

    def __init__(self, config: MiniGeminiConfig) -> None:
        super().__init__(config)
        eye: Any = config.vision_config
        aux: Any = config.aux_config
        self.vision_tower_aux = AutoModel.from_config(
            aux, attn_implementation="eager"
        )  # it has none
        self.vision_tower_aux.layernorm = nn.Identity()  # of a pooled feature that nobody reads
        width, fine = eye.hidden_size, sum(aux.hidden_sizes)
        self.vlm_uni_query_projector = _projector(width, width)
        self.vlm_uni_aux_projector = _projector(fine, width)
        self.vlm_uni_val_projector = _projector(fine, width)
        self.post_init()

    @can_return_tuple
    def get_image_features(
        self,
        pixel_values: Tensor,
        vision_feature_layer: int | None = None,
        vision_feature_select_strategy: str | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPooling:
        """pixel_values: [B, 3, H, W] as ConvNeXt sees them. `pooler_output`: B tensors [T, H]."""
        layer = self.config.vision_feature_layer
        layer = layer if vision_feature_layer is None else vision_feature_layer
        output = self.vision_tower(
            self.seen_small(pixel_values), output_hidden_states=True, return_dict=True
        )
        tokens = self.mined(output.hidden_states[layer][:, 1:], self.windows(pixel_values))
        features: Any = list(self.multi_modal_projector(tokens))
        return BaseModelOutputWithPooling(
            last_hidden_state=tokens, pooler_output=features, hidden_states=output.hidden_states
        )

    def seen_small(self, pixels: Tensor) -> Tensor:
        """The pictures at the size that CLIP sees."""
        eye: Any = self.config.vision_config
        size = (eye.image_size, eye.image_size)
        small = interpolate(pixels.float(), size, mode="bilinear", align_corners=False)
        return small.to(pixels.dtype)

    def windows(self, pixels: Tensor) -> Tensor:
        """ConvNeXt's features where each CLIP token's patch is: [B, T, P, C].

        Raises ValueError for pictures whose features do not divide into as many windows.
        """
        stages = self.vision_tower_aux(pixels, output_hidden_states=True).hidden_states[1:]
        size = stages[0].shape[-2:]
        laid = [stages[0]]
        for stage in stages[1:]:
            larger = interpolate(stage.float(), size, mode="bilinear", align_corners=False)
            laid.append(larger.to(stage.dtype))
        eye: Any = self.config.vision_config
        side = eye.image_size // eye.patch_size
        if size[0] != size[1] or size[0] % side:
            raise ValueError(
                f"pixel_values {tuple(pixels.shape)} must be square, with a side that is a "
                f"multiple of {4 * side}, as the model's processor makes them"
            )
        fine = torch.cat(laid, dim=1).permute(0, 2, 3, 1)
        each = size[0] // side
        cut = fine.unflatten(2, (side, each)).unflatten(1, (side, each))  # [B, y, h, x, w, C]
        return cut.transpose(2, 3).flatten(3, 4).flatten(1, 2)

    def mined(self, tokens: Tensor, windows: Tensor) -> Tensor:
        """Tokens [B, T, D], each with what it finds in its window of [B, T, P, C]."""
        queries, keys = self.vlm_uni_query_projector(tokens), self.vlm_uni_aux_projector(windows)
        logits = queries.unsqueeze(2) @ (keys.transpose(-1, -2) / keys.shape[-1] ** 0.5)
        found = logits.softmax(-1) @ self.vlm_uni_val_projector(windows)
        return tokens + found.squeeze(2)


class MiniGeminiForConditionalGeneration(LlavaForConditionalGeneration):
    """Mini-Gemini with the head that says the next word."""

    config: MiniGeminiConfig

    def __init__(self, config: MiniGeminiConfig) -> None:
        super().__init__(config)
        self.model = MiniGeminiModel(config)
        self.post_init()


def _projector(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, out))


AutoConfig.register("mini_gemini", MiniGeminiConfig, exist_ok=True)
AutoModelForImageTextToText.register(
    MiniGeminiConfig, MiniGeminiForConditionalGeneration, exist_ok=True
)
