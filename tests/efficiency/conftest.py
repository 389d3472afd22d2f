"""Tiny geometries beside the real ones, so that what is measured on those runs in seconds."""

import pytest
from transformers import CLIPVisionConfig, SiglipVisionConfig

from tests.narrow import BLOCK, EYE, NARROW, NARROW_QWEN, narrow
from vzlib.efficiency import geometry
from vzlib.efficiency.bench import families as rows
from vzlib.efficiency.families import CASES


@pytest.fixture
def tiny(monkeypatch):
    """Names "tiny-clip", "tiny-siglip", "tiny" and "tiny-2x", with 577 tokens a view,
    and two families alone."""
    few = {name: narrow(CASES[name]) for name in ("LLaVA-NeXT", "Qwen2.5-VL")}
    monkeypatch.setattr(rows, "CASES", few)
    monkeypatch.setattr(rows, "SMALL_TOWER", NARROW)
    monkeypatch.setattr(rows, "QWEN_EYE", NARROW_QWEN)
    monkeypatch.setitem(geometry.TOWERS, "tiny-clip", (CLIPVisionConfig, EYE))
    siglip = (SiglipVisionConfig, {**EYE, "vision_use_head": False})
    monkeypatch.setitem(geometry.TOWERS, "tiny-siglip", siglip)
    text = {**BLOCK, "num_hidden_layers": 8}
    monkeypatch.setitem(geometry.LLAVAS, "tiny", geometry.Geometry(EYE, text, views=5))
    larger = {**text, "hidden_size": 64, "num_hidden_layers": 10}
    monkeypatch.setitem(geometry.LLAVAS, "tiny-2x", geometry.Geometry(EYE, larger, views=5))
