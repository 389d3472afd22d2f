import pytest
import torch
from transformers import LlamaModel

from tests import tiny


@pytest.fixture(scope="session")
def deep_folder(tmp_path_factory):
    """A tiny LLaVA of 24 x 24 patches whose language model has layers for SparseVLM's stages."""
    model, processor = tiny.llava()
    model.config.text_config.num_hidden_layers = 5
    model.config.text_config.layer_types = None
    torch.manual_seed(1)
    model.model.language_model = LlamaModel(model.config.text_config).eval()
    folder = tmp_path_factory.mktemp("deep")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)
