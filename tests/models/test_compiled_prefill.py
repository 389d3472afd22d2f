"""The compiled prefill against the stock one: same words, logits equal but for rounding."""

import copy
import functools

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from transformers import StaticCache

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


@pytest.fixture(scope="module")
def zipped():
    model, processor = tiny.llava(image_size=96)
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
        with compiled_prefill(zipped.model, backend="aot_eager"):
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
    [{"num_beams": 2}, {"prefill_chunk_size": 16}, {"cache_implementation": "static"}],
    ids=lambda options: next(iter(options)),
)
def test_other_ways_to_decode_go_on_working(zipped, options):
    inputs = asked(zipped, QUESTIONS[0], QUESTIONS[2])
    options = {"disable_compile": True, **options}
    expected = generate(zipped.model, inputs, **options)
    with compiled_prefill(zipped.model, backend="aot_eager"):
        assert torch.equal(generate(zipped.model, inputs, **options), expected)


def test_what_the_graph_does_not_give_is_left_to_the_stock_forward(zipped):
    model, inputs = zipped.model, asked(zipped, QUESTIONS[0])
    with compiled_prefill(model, buckets=(4, 40), backend="aot_eager") as compiled:
        assert len(model(**inputs, output_hidden_states=True).hidden_states) == 4
        assert model(**inputs).logits.requires_grad
        with torch.no_grad():
            assert len(model(**inputs, output_hidden_states=True).hidden_states) == 4
            model(**inputs, past_key_values=StaticCache(model.config, max_cache_len=64))
            model(**asked(zipped, QUESTIONS[3]))  # longer than the longest bucket
        assert compiled.graphs == set()
        logits(model, inputs)
        assert compiled.graphs == {(1, 40, False)}


def test_the_number_of_graphs_is_bounded(zipped, monkeypatch):
    monkeypatch.setattr(prefill, "GRAPHS", 1)
    few, many = asked(zipped, QUESTIONS[0]), asked(zipped, QUESTIONS[3])
    expected = logits(zipped.model, many)
    with compiled_prefill(zipped.model, buckets=BUCKETS, backend="aot_eager") as compiled:
        logits(zipped.model, few)
        assert torch.equal(logits(zipped.model, many), expected)
        assert compiled.graphs == {(1, 40, False)}


def test_zip_model_compiles_on_request_and_undo_takes_it_away(monkeypatch):
    quick = functools.partial(compiled_prefill, backend="aot_eager")  # no C++ compiler needed
    monkeypatch.setattr("vzlib.models.zip.compiled_prefill", quick)
    model, processor = tiny.llava(image_size=96)
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
    model, processor = tiny.llava(image_size=96)
    inputs = tiny.batch(processor, QUESTIONS[:1], images=1)
    expected = logits(model, inputs)
    with compiled_prefill(model, backend="aot_eager") as outer:
        with compiled_prefill(model, backend="aot_eager") as inner:
            torch.testing.assert_close(logits(model, inputs), expected)
        torch.testing.assert_close(logits(model, inputs), expected)
        assert inner.graphs == outer.graphs == {(1, 192, False)}
    undo_compiled_prefill(model)
    assert torch.equal(logits(model, inputs), expected)


def test_a_deep_copy_runs_its_own_weights(zipped):
    inputs = asked(zipped, QUESTIONS[0])
    with compiled_prefill(zipped.model, backend="aot_eager"):
        twin = copy.deepcopy(zipped.model)
    before = logits(zipped.model, inputs)
    with torch.no_grad():
        twin.model.language_model.norm.weight.mul_(2)
    torch.testing.assert_close(logits(twin, inputs), 2 * before)


@pytest.mark.parametrize("buckets", [(), (1,), (64.0,)])
def test_buckets_that_are_no_lengths(zipped, buckets):
    with pytest.raises(ValueError, match="must be lengths of at least 2"):
        compiled_prefill(zipped.model, buckets=buckets)


def test_a_model_without_language_model(zipped):
    with pytest.raises(ValueError, match="CLIPVisionModel has no language model"):
        compiled_prefill(zipped.model.model.vision_tower)
