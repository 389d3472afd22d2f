"""Families of models: found by name, and of the shape that zipping needs."""

import inspect

import pytest
import torch
from transformers import CLIPVisionModel, LlamaModel, LlavaForConditionalGeneration

import vzlib
from tests import tiny
from vzlib.models import llava
from vzlib.models.families import FAMILIES, REFUSED
from vzlib.models.host import Host, host, host_of
from vzlib.models.zipped import unzip_model


class Own(LlavaForConditionalGeneration):
    """A class of one's own, derived from one that is known."""


def test_a_model_and_what_is_derived_from_it_are_of_one_family():
    model, processor = tiny.llava(image_size=48)
    assert host_of(model) is host_of(model.model) is llava
    model.__class__ = Own
    assert host_of(model) is llava
    with vzlib.zip_model(model, processor, retain=8) as zipped:
        assert model(**tiny.batch(zipped.processor)).logits.shape[0] == 2


@pytest.mark.parametrize("kind", [CLIPVisionModel, LlamaModel, torch.nn.Linear])
def test_an_unknown_family_is_refused_by_name(kind):
    message = (
        f"cannot zip a {kind.__name__}; supported: LlavaForConditionalGeneration, LlavaModel, Llava"
        "NextForConditionalGeneration, .* as transformers ships it"
    )
    for refuse in (host_of, unzip_model, lambda model: vzlib.zip_model(model, retain=64)):
        with pytest.raises(ValueError, match=message):
            refuse(kind.__new__(kind))


@pytest.mark.parametrize("name", REFUSED)
def test_families_that_do_not_fit_are_refused_with_a_reason(name):
    kind = type(name, (torch.nn.Module,), {})
    with pytest.raises(ValueError, match=rf"cannot zip a {name} \(.{{40,}}\); supported: Llava"):
        vzlib.zip_model(kind(), retain=64)


def test_a_checkpoint_that_runs_its_own_code_is_refused():
    for name in ("LlavaNextForConditionalGeneration", "InternVLChatModel"):
        kind = type(name, (torch.nn.Module,), {"__module__": "transformers_modules.a.b.modeling"})
        message = f"cannot zip a {name} that runs the code of its checkpoint; .*trust_remote_code"
        with pytest.raises(ValueError, match=message):
            vzlib.zip_model(kind(), retain=64)


@pytest.mark.parametrize(
    "name", ["LlavaForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"]
)
def test_a_version_of_transformers_without_the_methods_is_refused(name):
    kind = type(name, (torch.nn.Module,), {"base_model": property(lambda self: self)})
    message = rf"a {name} of transformers .*, which has no get_.*; 5\.23 and newer have"
    with pytest.raises(ValueError, match=message):
        vzlib.zip_model(kind(), retain=64)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_says_all_that_zipping_needs(family):
    module = host(family)
    assert module.__name__ == f"vzlib.models.{family}" and isinstance(module.VIEWS, bool)
    for name, promised in inspect.getmembers(Host, inspect.isfunction):
        if name.startswith("_"):
            continue
        wanted = list(inspect.signature(promised).parameters)[1:]
        assert list(inspect.signature(getattr(module, name)).parameters) == wanted
    for method in module.METHODS.values():
        assert getattr(module, method.__name__) is method  # found again when a pickle is read


def test_what_llava_says_of_a_model():
    model, processor = tiny.llava(image_size=48)
    core = model.model
    assert llava.tower(core) is core.vision_tower
    assert llava.projector(core) is core.multi_modal_projector
    assert (llava.layer(core), llava.layer(core, -1), llava.layer(core, (3,))) == (-2, -1, 3)
    inputs = tiny.batch(processor)
    (shape, other) = llava.shapes(model.config, inputs)
    assert shape == other and shape.stock == (inputs["input_ids"] == 4).sum() / 2 == 36
    assert shape.tokens == 37  # CLS may stay
    assert llava.layer(core, [1, -2]) == -2  # several side by side: the deepest rates
    for wrong in ([], [[-2]], "-2", -2.0, [-1, -2], [-2, -2], [True], [0, -2]):
        with pytest.raises(ValueError, match="layer"):
            llava.layer(core, wrong)


def test_too_many_placeholders_are_told_in_tokens_whatever_stock_raises():
    model, processor = tiny.llava(image_size=48)

    def below(*_):
        raise RuntimeError("features do not match")

    ids, features = torch.full((1, 9), 4), torch.zeros(16, 64)
    with vzlib.zip_model(model, processor, retain=8):
        layer = model.model.get_placeholder_mask.layers[0]
        with pytest.raises(ValueError, match=r"9 image placeholders .* 16 visual tokens \(8 for"):
            layer(below, model.model, ids, torch.zeros(1, 9, 64), features)
        with pytest.raises(RuntimeError, match="do not match"):  # the count is right
            layer(below, model.model, ids, torch.zeros(1, 9, 64), features[:9])
