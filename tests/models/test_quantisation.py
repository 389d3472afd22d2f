"""Weights in 8 and 4 bit load by name of a quantisation, or are refused before anything is read."""

from dataclasses import replace

import pytest
import torch

import vzlib
from tests import tiny
from vzlib.models import load as loading
from vzlib.models import quantisation
from vzlib.models.checkpoint import identity, resolve
from vzlib.models.hub import LoadError


@pytest.mark.parametrize(("name", "model"), [("int8", None), ("nf4", "pico"), ("fp4", "pico")])
def test_quantised_weights_are_smaller_and_answer_alike(tiny_folder, name, model):
    """4 bit are packed in blocks of 64, wider than what is tiny."""
    whole = resolve(model or tiny_folder())
    small = loading.load(replace(whole, quantisation=name))
    layer = small.model.model.language_model.layers[0].mlp.up_proj
    assert layer.weight.dtype in (torch.int8, torch.uint8)
    assert identity(small.checkpoint) == f"{identity(whole)} {name}"
    answers = []
    for loaded in (loading.load(whole), small):
        with vzlib.zip_model(loaded.model, loaded.processor, retain=8) as zipped, torch.no_grad():
            inputs = tiny.batch(zipped.processor)
            answers.append(zipped.model(**inputs).logits[:, -1].flatten())
    assert 0.8 < torch.cosine_similarity(*answers, dim=0) < 1 - 1e-7


@pytest.mark.parametrize(
    ("name", "device", "message"),
    [
        ("int3", "cpu", "quantisation='int3' is unknown; allowed: int8, nf4, fp4"),
        ("nf4", "mps", "cannot run on mps; allowed there: none, or on cpu, cuda, xpu: int8"),
    ],
)
def test_what_cannot_run_is_refused_with_what_can(name, device, message):
    with pytest.raises(LoadError, match=message):
        quantisation.check(name, device)
    quantisation.check(None, device)


def test_without_the_library_nothing_is_loaded(tiny_folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(loading.AutoModelForImageTextToText, "from_pretrained", None)
    with pytest.raises(LoadError, match="needs bitsandbytes, which is not installed"):
        loading.load(replace(resolve(tiny_folder()), quantisation="nf4"))


def test_a_tuned_projector_cannot_replace_a_quantised_one(tiny_folder, monkeypatch):
    monkeypatch.setattr(loading.projector, "check", lambda *_: None)
    monkeypatch.setattr(loading, "_projector_shapes", lambda _: {})
    both = replace(resolve(tiny_folder()), quantisation="nf4", projector="somewhere")
    with pytest.raises(LoadError, match="either of the two"):
        loading.load(both)
