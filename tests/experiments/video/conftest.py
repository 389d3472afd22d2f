"""pico-video before it was trained: enough to hold prompts and counts against the stock model."""

import pytest
import torch
from transformers import LlavaForConditionalGeneration

from vzlib.embedded.video import architecture
from vzlib.models.load import Loaded
from vzlib.paths import CHECKPOINTS


@pytest.fixture(scope="session")
def untrained():
    pico = LlavaForConditionalGeneration.from_pretrained(
        CHECKPOINTS / "pico-llava", dtype=torch.float32
    )
    model = architecture.build(pico, 0).eval()
    return Loaded(model, architecture.build_processor(), "untrained")


@pytest.fixture(scope="session")
def folder(untrained, tmp_path_factory):
    """The same as a checkpoint."""
    target = tmp_path_factory.mktemp("untrained")
    untrained.model.save_pretrained(target)
    untrained.processor.save_pretrained(target)
    return str(target)
