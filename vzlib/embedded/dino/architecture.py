"""The parts of dino-llava: a stock LLaVA of DINOv2-small and a grown language model of pico's."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    BitImageProcessorPil,
    Dinov2Config,
    Dinov2Model,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from vzlib.embedded.dino.tower import GRID, MEAN, PATCH, SIDE, SPREAD
from vzlib.embedded.pico.architecture import CHAT_TEMPLATE, SPECIAL, build_tokenizer

# Read together, side by side: names of things are told by the deeper one, and digits and letters by
# the other. What is selected is selected by the last, as everywhere.
FEATURE_LAYERS = (-7, -2)
LAYERS = 12  # of the language model as shipped: pico's six, two that look words up, four copies


def build_image_processor() -> BitImageProcessorPil:
    """The preparation of images that DINOv2 was trained with, at 336 pixels."""
    return BitImageProcessorPil(
        size={"shortest_edge": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
        image_mean=MEAN,
        image_std=SPREAD,
    )


def build_processor(new: Sequence[str] = ()) -> LlavaProcessor:
    """The processor that a stock `AutoProcessor` loads again from the checkpoint."""
    return LlavaProcessor(
        image_processor=build_image_processor(),
        tokenizer=build_tokenizer(new),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def build_llava(
    text: LlamaConfig, vision: Dinov2Config, new: Sequence[str] = ()
) -> LlavaForConditionalGeneration:
    """A LLaVA of untrained weights.

    text: sizes of the language model, as pico's; new: the words it needs beyond pico's.
    """
    tokenizer = build_tokenizer(new)
    config = LlavaConfig(
        vision_config=vision,
        text_config=LlamaConfig.from_dict({**text.to_dict(), "vocab_size": len(tokenizer)}),
        image_token_index=SPECIAL.index("<image>"),
        image_seq_length=GRID * GRID,
        vision_feature_layer=list(FEATURE_LAYERS),
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )
    model = LlavaForConditionalGeneration._from_config(config, attn_implementation="sdpa")
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


@torch.no_grad()
def take_language_model(
    model: LlavaForConditionalGeneration, source: LlavaForConditionalGeneration
) -> None:
    """Gives `model` the language model of `source`, whose words are the first of its own.

    New words start where the mean of the known ones is, a little apart from each other.
    """
    own, other = model.model.language_model, source.model.language_model
    state = other.state_dict()
    known = state.pop("embed_tokens.weight")
    own.load_state_dict(state, strict=False)
    tables = ((own.embed_tokens.weight, known), (model.lm_head.weight, source.lm_head.weight))
    for table, rows in tables:
        spread = rows.std(dim=0) * torch.randn(len(table) - len(rows), rows.shape[1])
        table.copy_(torch.cat([rows, rows.mean(dim=0) + 0.5 * spread]))


@torch.no_grad()
def grow(source: LlavaForConditionalGeneration, layers: int) -> LlavaForConditionalGeneration:
    """A model of more layers that computes the same.

    Copies are inserted, as evenly as can be, each behind its original; both output projections of
    a copy are zero, so that it adds nothing until it is trained.

    Raises:
        ValueError: if `layers` is less than there are, or more than twice as many.
    """
    text: Any = source.config.text_config
    there: int = text.num_hidden_layers
    if not there <= layers <= 2 * there:
        raise ValueError(f"layers={layers} must be {there} to {2 * there}, as there are {there}")
    more = layers - there
    copied = {round((number + 0.5) * there / more - 0.5) for number in range(more)}
    order = [(number, again) for number in range(there) for again in range(1 + (number in copied))]
    config: Any = LlavaConfig.from_dict(source.config.to_dict())
    config.text_config.num_hidden_layers = layers
    model = LlavaForConditionalGeneration._from_config(config, attn_implementation="sdpa")
    state = {k: v for k, v in source.state_dict().items() if ".language_model.layers." not in k}
    model.load_state_dict(state, strict=False)
    for layer, (number, again) in zip(model.model.language_model.layers, order, strict=True):
        layer.load_state_dict(source.model.language_model.layers[number].state_dict())
        if again:
            nn.init.zeros_(layer.self_attn.o_proj.weight)
            nn.init.zeros_(layer.mlp.down_proj.weight)
    model.generation_config = source.generation_config
    return model


def encode_window(tower: Dinov2Model, pixels: Tensor, corners: Tensor) -> Tensor:
    """Features `[B, 1 + G * G, D * F]` of F layers, CLS first, of images up to the tower's size.

    Each image stands somewhere on the full grid: it takes the position embeddings of the window
    with the top left `corners` `[B, 2]` (row, column, in patches).
    """
    embeddings = tower.embeddings
    patches = embeddings.patch_embeddings(pixels)
    grid = pixels.shape[-1] // PATCH
    steps = torch.arange(grid, device=pixels.device)
    corners = corners.to(pixels.device)
    rows, columns = corners[:, 0, None, None] + steps[:, None], corners[:, 1, None, None] + steps
    places = 1 + rows * GRID + columns  # [B, G, G]
    positions = embeddings.position_embeddings[0]
    first = (embeddings.cls_token[0] + positions[:1]).expand(len(pixels), 1, -1)
    hidden = torch.cat([first, patches + positions[places.flatten(1)]], dim=1)
    states = [hidden]
    for layer in tower.encoder.layer[: FEATURE_LAYERS[-1] + 1]:
        states.append(layer(states[-1]))
    depth = len(tower.encoder.layer) + 1
    return torch.cat([states[layer % depth] for layer in FEATURE_LAYERS], dim=-1)
