import pytest
import torch

from tests import tiny


@pytest.fixture(scope="session")
def scene_sized(tmp_path_factory):
    """A folder with a tiny LLaVA of 24 x 24 patches that says ordinary words."""
    folder = tmp_path_factory.mktemp("scene-sized")
    model, processor = tiny.llava()
    with torch.no_grad():
        model.lm_head.weight[:5] = 0
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)
