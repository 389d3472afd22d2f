"""Tiny random models of every family that can be zipped, with processors, all offline."""

import functools

import torch
from transformers import (
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
)

from tests import tiny

VIEW, PATCH = 48, 8  # 36 patches in a view
TEXT = {
    "vocab_size": len(tiny.SPECIAL) + len(tiny.WORDS),
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def awake(model):
    """In eval mode, with logits that depend on the image and on every word."""
    with torch.no_grad():
        for name, parameter in model.model.named_parameters():
            if "language_model" in name and "_proj" in name:
                parameter.mul_(6)
            if "multi_modal_projector" in name:
                parameter.mul_(10)
    model.generation_config.pad_token_id = 0
    model.generation_config.eos_token_id = None
    return model.eval()


def llava_next(tower="clip", strategy="default"):
    """Tiles of 48 pixels, in the five arrangements of the real one."""
    eye = tiny.tower(tower, VIEW, PATCH)
    torch.manual_seed(0)
    rows_and_columns = [[1, 2], [2, 1], [2, 2], [3, 1], [1, 3]]
    pinpoints = [[rows * VIEW, columns * VIEW] for rows, columns in rows_and_columns]
    config = LlavaNextConfig(
        vision_config=eye.config,
        text_config=LlamaConfig(**TEXT),
        image_token_id=tiny.SPECIAL.index("<image>"),
        vision_feature_layer=-2,
        vision_feature_select_strategy=strategy,
        image_grid_pinpoints=pinpoints,
    )
    model = LlavaNextForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(eye.state_dict())
    processor = LlavaNextProcessor(
        image_processor=LlavaNextImageProcessorPil(
            size={"shortest_edge": VIEW},
            crop_size={"height": VIEW, "width": VIEW},
            image_grid_pinpoints=pinpoints,
        ),
        tokenizer=tiny.tokenizer(),
        patch_size=PATCH,
        vision_feature_select_strategy=strategy,
        num_additional_image_tokens=int(tower == "clip"),
        chat_template=tiny.CHAT,
    )
    return awake(model), processor


MADE = {"llava_next": llava_next}


@functools.cache
def made(family):
    """(model, processor) of a family: do not change them."""
    return MADE[family]()


def saved(family, folder):
    """A folder with the model and its processor in the hub's format."""
    model, processor = made(family)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)
