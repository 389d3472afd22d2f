"""Tiny geometries beside the real ones, so that what is measured on those runs in seconds."""

import pytest
from transformers import CLIPVisionConfig, SiglipVisionConfig

from vzlib.efficiency import geometry

BLOCK = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4,
         "num_attention_heads": 2}  # fmt: skip
EYE = {**BLOCK, "image_size": 336, "patch_size": 14}


@pytest.fixture
def tiny(monkeypatch):
    """Names "tiny-clip", "tiny-siglip", "tiny" and "tiny-2x", with 577 tokens a view."""
    monkeypatch.setitem(geometry.TOWERS, "tiny-clip", (CLIPVisionConfig, EYE))
    siglip = (SiglipVisionConfig, {**EYE, "vision_use_head": False})
    monkeypatch.setitem(geometry.TOWERS, "tiny-siglip", siglip)
    text = {**BLOCK, "num_hidden_layers": 8}
    monkeypatch.setitem(geometry.LLAVAS, "tiny", geometry.Geometry(EYE, text, views=5))
    larger = {**text, "hidden_size": 64, "num_hidden_layers": 10}
    monkeypatch.setitem(geometry.LLAVAS, "tiny-2x", geometry.Geometry(EYE, larger, views=5))
