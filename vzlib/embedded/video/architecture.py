"""The parts of pico-video: pico's, for frames of 16 x 16 patches and with some more words."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from vzlib import scenes
from vzlib.embedded.pico import architecture as pico
from vzlib.scenes.clips import new_words

GRID = 16  # patches a side of a frame: 256, as Video-LLaVA has
WINDOW = 12  # of the frames that training starts with
CORNER = (pico.GRID - GRID) // 2  # row and column of pico's grid at which that of a frame starts
EYE = ("vision_tower",)  # what stays as pico has it


def tokenizer() -> PreTrainedTokenizerFast:
    """Pico's words, then those that only clips and albums need."""
    return pico.build_tokenizer(new_words())


def build(whole: LlavaForConditionalGeneration, seed: int) -> LlavaForConditionalGeneration:
    """Pico as it is, but that a frame has the middle of its grid, CLS is read and words are new.

    The tower keeps the position embeddings of the middle `GRID` x `GRID` patches.
    """
    torch.manual_seed(seed)
    before: Any = whole
    words = tokenizer()
    vision = before.config.vision_config.to_dict() | {"image_size": GRID * scenes.PATCH}
    text = before.config.text_config.to_dict() | {"vocab_size": len(words)}
    given = before.config.to_dict() | {
        "vision_config": vision,
        "text_config": text,
        "image_seq_length": GRID * GRID + 1,
        "vision_feature_select_strategy": "full",
    }
    model: Any = LlavaForConditionalGeneration._from_config(LlavaConfig(**given))
    model.generation_config = before.generation_config
    state, own = before.state_dict(), model.state_dict()
    for name, value in state.items():
        if name.endswith("position_embedding.weight"):
            value = torch.cat([value[:1], value[1:][_middle()]])
        elif own[name].shape != value.shape:  # embeddings of words and the head
            value = torch.cat([value, value.std() * torch.randn_like(own[name][len(value) :])])
        own[name] = value
    model.load_state_dict(own)
    return model


def _middle() -> Tensor:
    """Raster numbers on pico's grid of the patches of a frame, `[GRID * GRID]`."""
    steps = CORNER + torch.arange(GRID)
    return (steps[:, None] * pico.GRID + steps).flatten()


def build_processor() -> LlavaProcessor:
    """Pico's processor, for frames, with the words of clips and albums and the CLS token."""
    return pico.build_processor(new_words(), grid=GRID, strategy="full")


def trained(model: LlavaForConditionalGeneration) -> dict[str, nn.Module]:
    """What is trained, by the names under which stages keep it; the tower is not."""
    return {
        "projector": model.model.multi_modal_projector,
        "language_model": model.model.language_model,
        "head": model.lm_head,
    }
