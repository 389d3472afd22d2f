import pytest
import torch

from tests import tiny
from vzlib.experiments.attention import maps_by_layer, scene_patch
from vzlib.models.load import Loaded
from vzlib.models.towers import attention_rows, received_by_layer


@pytest.mark.parametrize("family", ["clip", "siglip", "dinov2"])
def test_agrees_with_the_tower_on_every_row_of_every_block(family):
    tower = tiny.tower(family)
    (pixels,), _ = tiny.tower_inputs(family)
    maps = list(maps_by_layer(tower, pixels))
    assert len(maps) == 4
    everyone = list(range(maps[0].shape[-1]))
    for layer, heads in enumerate(maps, start=1):
        rows = attention_rows(tower, pixels, layer=layer, queries=everyone)
        torch.testing.assert_close(heads.mean(1), rows, atol=1e-5, rtol=1e-4)
    received = torch.stack([heads.mean((1, 2)) for heads in maps], dim=1)
    expected = received_by_layer(tower, pixels, cls=False)
    torch.testing.assert_close(received, expected, atol=1e-5, rtol=1e-4)


def test_leaves_the_tower_as_it_was():
    tower = tiny.tower()
    (pixels,), _ = tiny.tower_inputs()
    list(maps_by_layer(tower, pixels))
    named = ("q_proj", "k_proj")
    modules = [module for name, module in tower.named_modules() if name.endswith(named)]
    assert modules
    assert not any(module._forward_hooks for module in modules)


def test_refuses_registers():
    (pixels,), _ = tiny.tower_inputs("registers")
    with pytest.raises(ValueError, match="registers"):
        next(maps_by_layer(tiny.tower("registers"), pixels))


def test_patches_of_a_scene():
    assert scene_patch(Loaded(*tiny.llava(), "24 x 24"), 192) == 8
    with pytest.raises(ValueError, match="7 x 7"):
        scene_patch(Loaded(*tiny.llava(image_size=56), "7 x 7"), 192)
