"""The fingerprint changes with what a model computes, and with nothing else."""

import copy

import torch

import vzlib
from tests import tiny


def test_same_model_same_fingerprint():
    (model, processor), (twin, _) = tiny.llava(image_size=48), tiny.llava(image_size=48)
    fingerprint = vzlib.fingerprint(model)
    assert len(fingerprint) == 16 and int(fingerprint, 16) >= 0
    twin.config._name_or_path = "elsewhere"
    twin.train()
    assert vzlib.fingerprint(twin) == fingerprint
    with vzlib.zip_model(model, processor, retain=8):
        assert vzlib.fingerprint(model) == fingerprint


def test_any_change_shows():
    model, _ = tiny.llava(image_size=48)
    seen = {vzlib.fingerprint(model)}
    with torch.no_grad():
        model.model.vision_tower.encoder.layers[1].mlp.fc1.bias[-1] += 1e-7
    seen.add(vzlib.fingerprint(model))
    model.config.vision_feature_layer = -1
    seen.add(vzlib.fingerprint(model))
    seen.add(vzlib.fingerprint(copy.deepcopy(model).bfloat16()))
    assert len(seen) == 4
