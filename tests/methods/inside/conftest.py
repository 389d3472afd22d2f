"""A tiny LLaVA whose language model is deep enough for four stages."""

from typing import NamedTuple

import pytest
import torch
from transformers import LlamaModel

from tests import tiny
from tests.methods.inside.oracle import embedded

LAYERS, VISUAL = 8, 144


@pytest.fixture(scope="session")
def llava():
    return deep(image_size=96, layers=LAYERS)


def deep(image_size, layers):
    model, processor = tiny.llava(image_size=image_size)
    config = model.config.text_config
    config.num_hidden_layers = layers
    torch.manual_seed(1)
    deep = LlamaModel(config).eval()
    with torch.no_grad():  # attention that differs from token to token, layer to layer
        for name, parameter in deep.named_parameters():
            if "_proj" in name:
                parameter.mul_(4)
    model.model.language_model = deep
    return model, processor


@pytest.fixture(scope="session")
def inputs(llava):
    """Of one prompt."""
    return tiny.batch(llava[1], tiny.QUESTIONS[:1], images=1)


class Prompt(NamedTuple):
    """Up to the end of its image `[1, P, D]`, where that starts, and what follows `[1, T, D]`."""

    opening: torch.Tensor
    image: int
    text: torch.Tensor


@pytest.fixture(scope="session")
def prompt(llava, inputs):
    embeds, visual = embedded(llava[0], inputs)
    start = int(visual.int().argmax())
    return Prompt(embeds[:, : start + VISUAL], start, embeds[:, start + VISUAL :])
