"""A tiny LLaVA whose language model is deep enough for four stages."""

import pytest
import torch
from transformers import LlamaModel

from tests import tiny
from vzlib.evaluation.decoding import embed_prompt

LAYERS, VISUAL = 8, 144


@pytest.fixture(scope="session")
def llava():
    model, processor = tiny.llava(image_size=96)
    config = model.config.text_config
    config.num_hidden_layers = LAYERS
    config.layer_types = None
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


@pytest.fixture(scope="session")
def prompt(llava, inputs):
    return embed_prompt(llava[0], inputs)
