"""The compiled prefill against the stock one: same words, logits equal but for rounding."""

import copy
import functools
import pickle
from dataclasses import dataclass, fields
from typing import Any

import accelerate
import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from transformers import DynamicCache, LlamaModel, StaticCache
from transformers.modeling_outputs import BaseModelOutputWithPast, ModelOutput

import vzlib
from tests import tiny
from vzlib.models import compiled_prefill as prefill
from vzlib.models.compiled_prefill import compiled_prefill, undo_compiled_prefill

# Prompts of 38 to 50 tokens with 32 visual ones: one row and two, in buckets of 40, 48 and 64.
QUESTIONS = [
    "USER: <image> how many ? ASSISTANT:",
    "USER: <image> how many red ? ASSISTANT:",
    "USER: <image> what is the colour of the shape ? ASSISTANT:",
    "USER: <image> what is the colour of the shape left of the red in the image ? ASSISTANT:",
]
BUCKETS = (40, 48, 64)


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()


# With a language model as short as can be, which is traced the sooner.
llava = functools.partial(tiny.llava, layers=1)


@pytest.fixture(scope="module")
def zipped():
    model, processor = llava(image_size=96, layers=2)
    with vzlib.zip_model(model, processor, retain=32) as zipped:
        yield zipped


def asked(zipped, *questions):
    return tiny.batch(zipped.processor, questions, images=len(questions))


def generate(model, inputs, **options):
    options = {"max_new_tokens": 4, "do_sample": False, **options}
    return model.generate(**inputs, **options)[:, inputs["input_ids"].shape[1] :]


@torch.no_grad()
def logits(model, inputs, **options):
    return model(**inputs, **options).logits[inputs["attention_mask"].bool()]


@pytest.mark.slow
def test_same_words_and_logits_at_every_length_with_one_graph_a_bucket(zipped):
    inputs = [asked(zipped, question) for question in QUESTIONS]
    lengths = [each["input_ids"].shape[1] for each in inputs]
    assert len(set(lengths)) == 4 and sorted(lengths)[1] <= 40 < sorted(lengths)[2]
    inputs.append(asked(zipped, QUESTIONS[0], QUESTIONS[3]))  # two rows, one padded
    expected = [(generate(zipped.model, each), logits(zipped.model, each)) for each in inputs]
    counter = CompileCounterWithBackend("aot_eager")
    with compiled_prefill(zipped.model, buckets=BUCKETS, backend=counter) as compiled:
        for each, (words, stock) in zip(inputs, expected, strict=True):
            assert torch.equal(generate(zipped.model, each), words)
            torch.testing.assert_close(logits(zipped.model, each), stock)
    buckets = {(1, next(size for size in BUCKETS if size >= length)) for length in lengths}
    rows = (2, next(size for size in BUCKETS if size >= max(lengths)))
    assert {graph[:2] for graph in compiled.graphs} == buckets | {rows}
    assert counter.frame_count == len(compiled.graphs)
    assert torch.equal(logits(zipped.model, inputs[0]), expected[0][1])  # stock again


def test_the_cache_holds_the_prompt_and_no_padding(zipped):
    inputs = asked(zipped, QUESTIONS[0], QUESTIONS[2])
    with torch.no_grad():
        expected = zipped.model(**inputs).past_key_values
        with compiled_prefill(zipped.model, backend="eager"):
            found = zipped.model(**inputs).past_key_values
            assert zipped.model(**inputs, use_cache=False).past_key_values is None
    real = inputs["attention_mask"].bool()
    for ours, theirs in zip(found.layers, expected.layers, strict=True):
        assert ours.keys.shape == theirs.keys.shape
        for name in ("keys", "values"):
            one, other = (getattr(each, name).transpose(1, 2)[real] for each in (ours, theirs))
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 2},
        pytest.param({"prefill_chunk_size": 16}, marks=pytest.mark.slow),
        pytest.param({"cache_implementation": "static"}, marks=pytest.mark.slow),
    ],
    ids=lambda options: next(iter(options)),
)
def test_other_ways_to_decode_go_on_working(zipped, options):
    inputs = asked(zipped, QUESTIONS[0], QUESTIONS[2])
    options = {"disable_compile": True, **options}
    expected = generate(zipped.model, inputs, **options)
    with compiled_prefill(zipped.model, backend="eager"):
        assert torch.equal(generate(zipped.model, inputs, **options), expected)


def test_what_the_graph_does_not_give_is_left_to_the_stock_forward(zipped):
    model, inputs = zipped.model, asked(zipped, QUESTIONS[0])
    with compiled_prefill(model, buckets=(4, 40), backend="eager") as compiled:
        assert len(model(**inputs, output_hidden_states=True).hidden_states) == 3
        assert model(**inputs).logits.requires_grad
        with torch.no_grad():
            assert len(model(**inputs, output_hidden_states=True).hidden_states) == 3
            model(**inputs, past_key_values=StaticCache(model.config, max_cache_len=64))
            model(**asked(zipped, QUESTIONS[3]))  # longer than the longest bucket
        assert compiled.graphs == set()
        logits(model, inputs)
        assert compiled.graphs == {(1, 40, False)}


def test_the_number_of_graphs_is_bounded(zipped, monkeypatch):
    monkeypatch.setattr(prefill, "GRAPHS", 1)
    few, many = asked(zipped, QUESTIONS[0]), asked(zipped, QUESTIONS[3])
    expected = logits(zipped.model, many)
    with compiled_prefill(zipped.model, buckets=BUCKETS, backend="eager") as compiled:
        logits(zipped.model, few)
        assert torch.equal(logits(zipped.model, many), expected)
        assert compiled.graphs == {(1, 40, False)}


def test_zip_model_compiles_on_request_and_undo_takes_it_away(monkeypatch):
    quick = functools.partial(compiled_prefill, backend="eager")  # no C++ compiler needed
    monkeypatch.setattr("vzlib.models.zip.compiled_prefill", quick)
    model, processor = llava(image_size=96)
    language = model.model.language_model
    with vzlib.zip_model(model, processor, retain=32, compile=True) as zipped:
        inputs = asked(zipped, QUESTIONS[0])
        assert zipped.prefill is not None and "forward" in language.__dict__
        with vzlib.zip_model(model, retain=16):
            assert "forward" in language.__dict__
        assert "forward" in language.__dict__
        words = generate(model, inputs)
        assert zipped.prefill.graphs == {(1, 64, False)}
    assert "forward" not in language.__dict__
    zipped = vzlib.zip_model(model, processor, retain=32, compile=True)
    zipped.undo(), zipped.undo()
    assert "forward" not in language.__dict__
    with vzlib.zip_model(model, processor, retain=32) as zipped:
        assert zipped.prefill is None
        assert torch.equal(generate(model, inputs), words)


def test_nested_and_vanilla():
    model, processor = llava(image_size=96)
    inputs = tiny.batch(processor, QUESTIONS[:1], images=1)
    expected = logits(model, inputs)
    with compiled_prefill(model, backend="eager") as outer:
        with compiled_prefill(model, backend="eager") as inner:
            torch.testing.assert_close(logits(model, inputs), expected)
        torch.testing.assert_close(logits(model, inputs), expected)
        assert inner.graphs == outer.graphs == {(1, 192, False)}
    undo_compiled_prefill(model)
    assert torch.equal(logits(model, inputs), expected)


def test_entered_again_it_keeps_its_graphs(zipped):
    model, inputs = zipped.model, asked(zipped, QUESTIONS[0])
    counter = CompileCounterWithBackend("eager")
    language = model.model.language_model
    prefill = compiled_prefill(model, backend=counter, attach=False)
    assert "forward" not in language.__dict__
    expected = logits(model, inputs)
    for _ in range(3):
        with prefill:
            assert "forward" in language.__dict__
            torch.testing.assert_close(logits(model, inputs), expected)
        assert "forward" not in language.__dict__
        assert torch.equal(logits(model, inputs), expected)
    assert counter.frame_count == len(prefill.graphs) == 1


def test_a_tuple_on_request():
    model, _ = llava(image_size=48)
    language, ids = model.model.language_model, torch.tensor([[1, 5, 6, 7, 8]])
    compiled = compiled_prefill(model, buckets=(8,), backend="eager", attach=False)
    for by_config in (True, False):
        language.config.return_dict = by_config
        for options in ({}, {"return_dict": False}, {"return_dict": True}):
            for use_cache in (True, False):
                with torch.no_grad():
                    expected = language(ids, use_cache=use_cache, **options)
                    with compiled:
                        found = language(ids, use_cache=use_cache, **options)
                assert type(found) is type(expected) and len(found) == len(expected)
                torch.testing.assert_close(found[0], expected[0])
    assert len(compiled.graphs) == 1


class Renamed(LlamaModel):
    """What transformers calls `past_key_values` is called `cache`, as from its version 5.24 on."""

    def forward(self, input_ids=None, attention_mask=None, position_ids=None, cache=None, **rest):
        output = LlamaModel.forward(self, input_ids, attention_mask, position_ids, cache, **rest)
        return RenamedOutput(last_hidden_state=output.last_hidden_state, cache=output[CACHE])


@dataclass
class RenamedOutput(ModelOutput):
    last_hidden_state: torch.Tensor | None = None
    cache: Any = None


# What the installed transformers calls it.
CACHE = next(each.name for each in fields(BaseModelOutputWithPast) if each.name in prefill.CACHE)


@pytest.mark.parametrize("renamed", [False, True])
def test_the_graph_is_taken_whatever_the_cache_is_called(monkeypatch, renamed):
    model, _ = llava(image_size=48)
    language, ids = model.model.language_model, torch.tensor([[1, 5, 6, 7, 8]])
    name = CACHE
    if renamed:
        language.__class__, name = Renamed, "cache"
        monkeypatch.setattr(prefill, "BaseModelOutputWithPast", RenamedOutput)
    with torch.no_grad():
        expected = language(ids, use_cache=True)
        with compiled_prefill(model, buckets=(8,), backend="eager") as compiled:
            own = DynamicCache(config=language.config)
            for given in (language(ids, use_cache=True), language(ids, **{name: own})):
                torch.testing.assert_close(given.last_hidden_state, expected.last_hidden_state)
                for ours, theirs in zip(given[name].layers, expected[name].layers, strict=True):
                    torch.testing.assert_close(ours.keys, theirs.keys)
            assert own.get_seq_length() == 5
            word = language(torch.tensor([[9]]), **{name: own})  # goes on as behind a stock prefill
        assert compiled.graphs == {(1, 8, False)}
        again = language(torch.tensor([[9]]), **{name: expected[name]})
    torch.testing.assert_close(word.last_hidden_state, again.last_hidden_state)


def test_a_pickled_copy_compiles_for_itself(monkeypatch):
    quick = functools.partial(compiled_prefill, backend="eager")
    monkeypatch.setattr("vzlib.models.zip.compiled_prefill", quick)
    model, processor = llava(image_size=48)
    with vzlib.zip_model(model, processor, retain=8, compile=True) as zipped:
        inputs = asked(zipped, QUESTIONS[0])
        expected = logits(model, inputs)
        other = pickle.loads(pickle.dumps(zipped))
        assert zipped.prefill.graphs and not other.prefill.graphs
        torch.testing.assert_close(logits(other.model, inputs), expected)
        assert other.prefill.graphs == zipped.prefill.graphs
        other.undo()
        assert "forward" not in other.model.model.language_model.__dict__
        assert "forward" in model.model.language_model.__dict__


@pytest.mark.parametrize("first", ["hooks", "prefill"])
def test_hooks_of_accelerate_stay_and_take_the_stock_forward(first):
    model, processor = llava(image_size=48)
    inputs = tiny.batch(processor, QUESTIONS[:1], images=1)
    expected = logits(model, inputs)
    attach = functools.partial(accelerate.cpu_offload, execution_device="cpu")
    if first == "hooks":
        attach(model)
    compiled = compiled_prefill(model, backend="eager")
    if first == "prefill":
        attach(model)
    assert torch.equal(logits(model, inputs), expected)
    assert not compiled.graphs
    compiled.undo()
    assert torch.equal(logits(model, inputs), expected)
    assert sum(hasattr(module, "_hf_hook") for module in model.modules()) > 10


def test_a_language_model_with_one_hook_around_it_is_compiled():
    model, processor = llava(image_size=48)
    inputs = tiny.batch(processor, QUESTIONS[:1], images=1)
    expected, ran = logits(model, inputs), []

    class Notes(accelerate.hooks.ModelHook):
        def pre_forward(self, module, *arguments, **options):
            ran.append(module)
            return arguments, options

    language = model.model.language_model
    accelerate.hooks.add_hook_to_module(language, Notes())
    with compiled_prefill(model, backend="eager") as compiled:
        torch.testing.assert_close(logits(model, inputs), expected)
        assert ran == [language] and len(compiled.graphs) == 1
    assert torch.equal(logits(model, inputs), expected)
    assert ran == [language] * 2


def test_a_deep_copy_runs_its_own_weights(zipped):
    inputs = asked(zipped, QUESTIONS[0])
    with compiled_prefill(zipped.model, backend="eager"):
        twin = copy.deepcopy(zipped.model)
    before = logits(zipped.model, inputs)
    with torch.no_grad():
        twin.model.language_model.norm.weight.mul_(2)
    torch.testing.assert_close(logits(twin, inputs), 2 * before)


@pytest.mark.parametrize("buckets", [(), (1,), (64.0,), 64, (True,), "64"])
def test_buckets_that_are_no_lengths(zipped, buckets):
    with pytest.raises(ValueError, match="must be lengths of at least 2"):
        compiled_prefill(zipped.model, buckets=buckets)


def test_a_model_without_language_model(zipped):
    with pytest.raises(ValueError, match="CLIPVisionModel has no language model"):
        compiled_prefill(zipped.model.model.vision_tower)


@pytest.mark.parametrize("unknown", [{"backend": "fastest"}, {"mode": "fastest"}])
def test_what_torch_does_not_know_is_refused_at_once(zipped, unknown):
    with pytest.raises(ValueError, match="'fastest'"):
        compiled_prefill(zipped.model, **unknown)
    assert "forward" not in zipped.model.model.language_model.__dict__
