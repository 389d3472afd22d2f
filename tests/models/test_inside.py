"""Methods inside the language model under stock forward and generate: dropping is masking."""

import copy
import gc
import pickle

import pytest
import torch
from transformers import CompileConfig, DynamicCache, StaticCache

import vzlib
from tests import families, tiny
from tests.methods.inside.conftest import LAYERS, VISUAL
from tests.methods.inside.conftest import inputs as inputs
from tests.methods.inside.conftest import llava as llava
from tests.methods.inside.oracle import embedded, masked_forward
from tests.methods.inside.test_prefill import PRUNING
from vzlib import BudgetError
from vzlib.methods.fastv import FastV
from vzlib.methods.inside.schedule import Shape
from vzlib.methods.pyramid_drop import PyramidDrop
from vzlib.methods.sparsevlm import AdaptiveSparseVLM, SparseVLM
from vzlib.models import inside, llava_next
from vzlib.models.compiled_prefill import compiled_prefill
from vzlib.models.overrides import take

ALL = [
    FastV(removed=0),
    SparseVLM((576, 576, 576)),
    AdaptiveSparseVLM(1e6),
    PyramidDrop(keep=(1, 1, 1)),
]
SHAPE = Shape(LAYERS, VISUAL)
ONE_OF_EACH = [PRUNING[0], PRUNING[4], PRUNING[7], PRUNING[9]]
RAGGED = [
    "USER: <image> <image> what left ? ASSISTANT:",
    "USER: how many ? ASSISTANT:",
    "USER: <image> what is the colour of the shape ? ASSISTANT:",
]
ALONE = [([0, 1], RAGGED[0]), ([], RAGGED[1]), ([2], RAGGED[2])]


class pruning:
    """A method at work on top of whatever a model is zipped with."""

    def __init__(self, model, method, seed=0):
        self.laid = [] if method is None else inside.lay(model, method, seed)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for override, layer in self.laid:
            take(override, layer)


@torch.no_grad()
def answer(model, inputs, method, **options):
    """New tokens [B, n] of greedy decoding."""
    with pruning(model, method):
        ids = model.generate(**inputs, **{"do_sample": False, **options})
    return ids[:, inputs["input_ids"].shape[1] :]


def alone(processor):
    for images, text in ALONE:
        pictures = [tiny.image(seed) for seed in images] or None
        yield processor(images=pictures, text=[text], return_tensors="pt")


@torch.no_grad()
def logits_of(model, inputs, method, **options):
    with pruning(model, method, seed=5):
        return model(**inputs, **options).logits


@torch.no_grad()
def masked_logits(model, hidden, visual, ends, method, seed=0):
    language_model = model.model.language_model
    hidden, entered = masked_forward(language_model, hidden, visual, ends, method, seed)
    return model.lm_head(hidden), entered


@pytest.mark.parametrize("method", ALL, ids=str)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_keeping_all_is_the_stock_model_bit_by_bit(llava, method, attention):
    model, processor = llava
    model.set_attn_implementation(attention)
    inputs = tiny.batch(processor, RAGGED, images=3)
    one = tiny.batch(processor, tiny.QUESTIONS[:1], images=1)
    try:
        for given in (inputs, one):
            assert torch.equal(logits_of(model, given, method), logits_of(model, given, None))
            asked = {"max_new_tokens": 5, "output_logits": True, "return_dict_in_generate": True}
            with torch.no_grad():
                stock = model.generate(**given, **asked)
                with pruning(model, method):
                    ours = model.generate(**given, **asked)
            assert torch.equal(ours.sequences, stock.sequences)
            assert all(map(torch.equal, ours.logits, stock.logits))
    finally:
        model.set_attn_implementation("sdpa")


@pytest.mark.parametrize("method", PRUNING, ids=str)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_pruning_is_masking(llava, inputs, method, attention):
    """Prompt and answer again in one pass of the oracle; only the prompt votes."""
    model = llava[0]
    model.set_attn_implementation(attention)
    try:
        asked = {"max_new_tokens": 6, "output_logits": True, "return_dict_in_generate": True}
        with vzlib.zip_model(model, llava[1], method=method) as zipped, torch.no_grad():
            said = model.generate(**inputs, do_sample=False, **asked)
            places = zipped.tokens.places
            prefill = model(**inputs).logits
    finally:
        model.set_attn_implementation("sdpa")
    hidden, visual = embedded(model, inputs)
    end = hidden.shape[1]
    words = model.get_input_embeddings()(said.sequences[:, end:-1])
    visual = torch.cat([visual, torch.zeros(5, dtype=torch.bool)])
    hidden = torch.cat([hidden, words], dim=1)
    expected, entered = masked_logits(model, hidden, visual, [end], method)
    assert [place[0].tolist() for place in places] == [one.tolist() for one in entered]
    assert places[-1].shape[1] < VISUAL
    found = torch.stack(said.logits, dim=1)
    torch.testing.assert_close(found, expected[:, -6:], atol=1e-5, rtol=0)
    start = int(visual.int().argmax()) + VISUAL  # of what left nothing is known
    torch.testing.assert_close(prefill[:, start:], expected[:, start:end], atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", PRUNING, ids=str)
def test_several_images_are_chosen_from_together(llava, method):
    model, processor = llava
    inputs = next(alone(processor))
    found = logits_of(model, inputs, method, logits_to_keep=2)
    hidden, visual = embedded(model, inputs)
    expected, _ = masked_logits(model, hidden, visual, [len(visual)], method, seed=5)
    torch.testing.assert_close(found, expected[:, -2:], atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", PRUNING, ids=str)
def test_a_padded_batch_is_as_one_by_one(llava, method):
    model, processor = llava
    inputs = tiny.batch(processor, RAGGED, images=3)
    together = logits_of(model, inputs, method, logits_to_keep=2)
    each = [logits_of(model, one, method, logits_to_keep=2) for one in alone(processor)]
    torch.testing.assert_close(together, torch.cat(each), atol=2e-5, rtol=0)
    said = answer(model, inputs, method, max_new_tokens=4)
    apart = [answer(model, one, method, max_new_tokens=4) for one in alone(processor)]
    assert torch.equal(said, torch.cat(apart))


def test_padding_on_the_right_is_as_padding_on_the_left(llava):
    model, processor = llava
    left = tiny.batch(processor, RAGGED, images=3)
    order = left["attention_mask"].argsort(dim=1, descending=True, stable=True)
    right = {**left}
    for name in ("input_ids", "attention_mask"):
        right[name] = left[name].gather(1, order)
    assert not torch.equal(right["input_ids"], left["input_ids"])
    for method in ONE_OF_EACH:
        positions = (left["attention_mask"].cumsum(1) - 1).clamp(min=0)
        ours = logits_of(model, {**left, "position_ids": positions}, method)
        theirs = logits_of(model, right, method)
        for row, count in enumerate(left["attention_mask"].sum(1).tolist()):
            one, other = ours[row, -3:], theirs[row, count - 3 : count]
            torch.testing.assert_close(one, other, atol=2e-5, rtol=0)


def turn(processor, model, ids, cache, text, images=None):
    more = processor(images=images, text=[text], return_tensors="pt")
    more["input_ids"] = torch.cat([ids, more["input_ids"][:, 1:]], dim=1)
    more["attention_mask"] = torch.ones_like(more["input_ids"])
    return model.generate(
        **more,
        past_key_values=cache,
        max_new_tokens=3,
        do_sample=False,
        return_dict_in_generate=True,
        output_logits=True,
        suppress_tokens=[4],  # an answer holds no image
    )


@pytest.mark.parametrize("method", ONE_OF_EACH, ids=str)
@pytest.mark.parametrize("static", [False, True])
def test_turns_over_one_cache_are_masking_too(llava, inputs, method, static):
    """The second turn only asks on; the third brings another image."""
    model, processor = llava
    config = model.config.text_config
    cache = StaticCache(config, max_cache_len=600) if static else DynamicCache(config=config)
    asked = {"do_sample": False, "return_dict_in_generate": True, "suppress_tokens": [4]}
    with vzlib.zip_model(model, processor, method=method), torch.no_grad():
        first = model.generate(**inputs, past_key_values=cache, max_new_tokens=3, **asked)
        ends = [inputs["input_ids"].shape[1]]
        second = turn(processor, model, first.sequences, cache, RAGGED[1])
        ends.append(second.sequences.shape[1] - 3)
        other, ids = tiny.image(7), second.sequences
        third = turn(processor, model, ids, cache, RAGGED[2], images=[other])
        ends.append(third.sequences.shape[1] - 3)
    pixels = [processor.image_processor([one], return_tensors="pt")["pixel_values"]
              for one in (tiny.image(), other)]  # fmt: skip
    whole = {"input_ids": third.sequences[:, :-1], "pixel_values": torch.cat(pixels)}
    hidden, visual = embedded(model, whole)
    expected, entered = masked_logits(model, hidden, visual, ends, method)
    assert len(entered[1]) > VISUAL and len(entered[-1]) < VISUAL
    for said, end in zip((second, third), ends[1:], strict=True):
        found = torch.stack(said.logits, dim=1)
        torch.testing.assert_close(found, expected[:, end - 1 : end + 2], atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", ONE_OF_EACH, ids=str)
def test_a_further_turn_of_a_padded_batch_is_as_one_by_one(llava, method):
    model, processor = llava
    more = processor(text=["USER: how many ? ASSISTANT:"], return_tensors="pt")["input_ids"][:, 1:]
    options = {"do_sample": False, "suppress_tokens": [4], "return_dict_in_generate": True}

    def said(inputs):
        first = model.generate(**inputs, max_new_tokens=3, **options)
        batch = len(first.sequences)
        ids = torch.cat([first.sequences, more.expand(batch, -1)], dim=1)
        new = torch.ones(batch, 3 + more.shape[1], dtype=torch.long)
        mask = torch.cat([inputs["attention_mask"], new], dim=1)
        cache = first.past_key_values
        second = model.generate(ids, attention_mask=mask, past_key_values=cache, max_new_tokens=4,
                                output_logits=True, **options)  # fmt: skip
        return torch.stack(second.logits, dim=1)

    with vzlib.zip_model(model, processor, method=method), torch.no_grad():
        together = said(tiny.batch(processor, RAGGED, images=3))
        apart = torch.cat([said(one) for one in alone(processor)])
    torch.testing.assert_close(together, apart, atol=2e-5, rtol=0)


@pytest.mark.slow  # uncompiled, a static cache is tried with every method
@pytest.mark.filterwarnings("ignore")  # of the compiler, that it goes on without
def test_steps_compiled_over_a_static_cache_say_the_same(llava, inputs):
    model, processor = llava
    config = CompileConfig(backend="eager", fullgraph=False, mode=None)
    config._compile_all_devices = True  # as on a GPU
    both = tiny.batch(processor)
    try:
        with vzlib.zip_model(model, processor, method=PRUNING[9]):
            plain = answer(model, both, None, max_new_tokens=6)
            options = {"cache_implementation": "static", "compile_config": config}
            assert torch.equal(answer(model, both, None, max_new_tokens=6, **options), plain)
        assert hasattr(model, "_compiled_call")
    finally:
        model.__dict__.pop("_compiled_call", None)
        torch._dynamo.reset()


def test_a_cache_may_be_copied_but_not_cut_or_given_to_others(llava, inputs):
    model, processor = llava
    with vzlib.zip_model(model, processor, method=PRUNING[0]), torch.no_grad():
        first = model.generate(**inputs, max_new_tokens=3, return_dict_in_generate=True)
        cache, ids = first.past_key_values, first.sequences
        second = [
            turn(processor, model, ids, copy.deepcopy(cache), RAGGED[1]).sequences for _ in range(2)
        ]
        assert torch.equal(*second)
        with pytest.raises(ValueError, match="1 pruned prompts, which 2 cannot follow"):
            model(input_ids=torch.tensor([[5], [6]]), past_key_values=copy.deepcopy(cache))
        cache.crop(-(cache.get_seq_length() - 20))
        with pytest.raises(ValueError, match="cannot be cut"):
            model(input_ids=torch.tensor([[5]]), past_key_values=cache)


def test_a_static_cache_that_was_reset_starts_anew(llava, inputs):
    model, processor = llava
    cache = StaticCache(model.config.text_config, max_cache_len=300)
    text = processor(text=RAGGED[1:2], return_tensors="pt")
    options = {"max_new_tokens": 3, "do_sample": False, "disable_compile": True}
    with vzlib.zip_model(model, processor, method=PRUNING[0]), torch.no_grad():
        expected = model.generate(**text, **options)
        model.generate(**inputs, past_key_values=cache, **options)
        cache.reset()
        assert torch.equal(model.generate(**text, past_key_values=cache, **options), expected)


@pytest.mark.parametrize("method", ONE_OF_EACH, ids=str)
def test_what_is_told_of_each_layer(llava, method):
    model, processor = llava
    with vzlib.zip_model(model, processor, method=method) as zipped:
        model(**tiny.batch(processor, RAGGED, images=3))
        told = zipped.tokens
        stages = method.stages(LAYERS, VISUAL)
        counts = told.counts
        assert counts.shape == (3, LAYERS) and counts[:, 0].tolist() == [2 * VISUAL, 0, VISUAL]
        for layer in range(1, LAYERS):
            step = counts[[0, 2], layer] - counts[[0, 2], layer - 1]
            if any(stage.layer == layer for stage in stages):
                assert (step < 0).all() or isinstance(method, AdaptiveSparseVLM)
            else:
                assert (step == 0).all()
        for place, count in zip(told.places, counts.T, strict=True):
            for row, n in zip(place, count, strict=True):
                assert (row[:n].diff() > 0).all() and (row[n:] == -1).all()
        if zipped.budget is None:
            assert isinstance(method, AdaptiveSparseVLM) and zipped.retain is None
        else:
            assert told.average[2] == pytest.approx(zipped.budget.average) == zipped.retain


@pytest.mark.parametrize("name", ["fastv", "sparsevlm", "pyramiddrop", "fastv(full_layers=3)"])
def test_retain_is_the_average_over_layers(llava, inputs, name):
    model, processor = llava
    with vzlib.zip_model(model, processor, retain=72, method=name) as zipped:
        given = zipped.processor(images=tiny.image(), text=tiny.QUESTIONS[:1], return_tensors="pt")
        assert torch.equal(given["input_ids"], inputs["input_ids"])  # all of them go in
        assert zipped.shorten(given).keys() == given.keys()
        model(**given)
        assert float(zipped.tokens.average) == zipped.budget.average == pytest.approx(72, abs=1)
        assert zipped.retain == zipped.budget.wanted == 72 and "on average" in str(zipped.budget)


def test_the_seed_decides_what_is_drawn(llava, inputs):
    model, processor = llava
    found = []
    for seed in (3, 3, 4):
        zipped = vzlib.zip_model(model, processor, method=PRUNING[4], seed=seed)
        with zipped, torch.no_grad():
            state = torch.get_rng_state()
            found.append(model(**inputs).logits)
            assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(found[0], found[1])
    with pruning(model, PRUNING[4], seed=3), torch.no_grad():
        assert torch.equal(model(**inputs).logits, found[0])


def test_a_zip_replaces_the_one_outside_of_it(llava, inputs):
    model, processor = llava
    with torch.no_grad():
        stock = model(**inputs).logits
        alone = logits_of(model, inputs, PRUNING[0])
        with vzlib.zip_model(model, processor, retain=20) as outer:
            short = tiny.batch(outer.processor, tiny.QUESTIONS[:1], images=1)
            zipped = model(**short).logits
            with vzlib.zip_model(model, processor, method=PRUNING[0]):
                assert torch.equal(model(**inputs).logits, alone)
                with vzlib.zip_model(model, processor, retain=20):
                    assert torch.equal(model(**short).logits, zipped)
                    model(**short, labels=short["input_ids"])
                    model.generate(**short, use_cache=False, max_new_tokens=1)
                with vzlib.zip_model(model, processor, method=FastV(removed=0)):
                    assert torch.equal(model(**inputs).logits, stock)
                assert torch.equal(model(**inputs).logits, alone)
            assert torch.equal(model(**short).logits, zipped)
        assert torch.equal(model(**inputs).logits, stock)
    for module in (model, model.model, model.model.language_model):
        assert not {"forward", "generate", "get_placeholder_mask"} & module.__dict__.keys()


def test_unzipping_takes_all_of_it_away_and_copies_keep_it():
    model, processor = tiny.llava(image_size=48)
    inputs = tiny.batch(processor)
    vzlib.zip_model(model, processor, method="fastv(removed=0.9)")
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    with torch.no_grad():
        expected = model.generate(**inputs, max_new_tokens=3, output_logits=True,
                                  return_dict_in_generate=True)  # fmt: skip
        stock = vzlib.unzip_model(model).generate(**inputs, max_new_tokens=3)
        for again in copies:
            found = again.generate(**inputs, max_new_tokens=3, output_logits=True,
                                   return_dict_in_generate=True)  # fmt: skip
            assert all(map(torch.equal, found.logits, expected.logits))
            assert [layer.keys.shape[2] for layer in found.past_key_values.layers][-1] < 40
            vzlib.unzip_model(again)
            assert torch.equal(again.generate(**inputs, max_new_tokens=3), stock)
            for module in again.modules():
                assert not {"forward", "generate", "get_placeholder_mask"} & module.__dict__.keys()


def test_what_is_told_dies_with_the_model():
    model, processor = tiny.llava(image_size=48)
    vzlib.zip_model(model, processor, method="fastv")
    model(**tiny.batch(processor))
    gc.collect()
    before = len(inside._last)
    del model
    gc.collect()
    assert len(inside._last) == before - 1


def test_bfloat16_and_grouped_keys(llava, inputs):
    model = llava[0]
    config = model.config.text_config
    assert config.num_key_value_heads < config.num_attention_heads
    model.to(torch.bfloat16)
    try:
        halves = {**inputs, "pixel_values": inputs["pixel_values"].to(torch.bfloat16)}
        for method in PRUNING:
            logits = logits_of(model, halves, method, logits_to_keep=1)
            assert logits.dtype == torch.bfloat16 and logits.isfinite().all()
    finally:
        model.to(torch.float32)


def test_gradients_go_through_what_stays(llava, inputs):
    model = llava[0]
    with pruning(model, PRUNING[4]):
        model(**inputs, logits_to_keep=1).logits.square().sum().backward()
    gradient = model.model.multi_modal_projector.linear_1.weight.grad
    assert gradient.isfinite().all() and gradient.abs().sum() > 0
    model.zero_grad()


def test_hidden_states_and_attentions_are_those_of_the_tokens_in_each_layer(llava, inputs):
    model = llava[0]
    model.set_attn_implementation("eager")
    try:
        with pruning(model, PRUNING[0]), torch.no_grad():
            found = model(**inputs, output_hidden_states=True, output_attentions=True)
    finally:
        model.set_attn_implementation("sdpa")
    length = inputs["input_ids"].shape[1]
    short = length - VISUAL + 36
    assert [one.shape[1] for one in found.hidden_states] == [length] * 3 + [short] * 5 + [length]
    assert [one.shape[-1] for one in found.attentions] == [length] * 2 + [short] * 6


def test_pruning_follows_a_reduction_before_the_language_model(llava):
    """As in the paper's Table 5: offered only what VisionZip keeps, then pruned inside."""
    model, processor = llava
    with vzlib.zip_model(model, processor, retain=64) as zipped:
        inputs = tiny.batch(zipped.processor, tiny.QUESTIONS[:1], images=1)
        stock = logits_of(model, inputs, None, logits_to_keep=1)
        assert torch.equal(logits_of(model, inputs, ALL[0], logits_to_keep=1), stock)
        method = SparseVLM((20, 10, 5), (1, 2, 5), written_for=Shape(LAYERS, 64))
        pruned = logits_of(model, inputs, method, logits_to_keep=1)
        assert not torch.allclose(pruned, stock, atol=1e-3)
        assert inside.last_entered(model.model).counts[0].tolist()[0] == 64


def test_of_an_image_with_several_views_the_same_share_stays():
    model, processor = families.llava_next()
    text = "USER: <image> what is left ? ASSISTANT:"
    with vzlib.zip_model(model, processor, method="fastv(removed=0.75)") as zipped:
        assert zipped.budget.average == 0.75 * llava_next.largest(model.config).stock
        for size in ((96, 96), (40, 90)):
            given = {"images": tiny.image(size=size), "text": text, "return_tensors": "pt"}
            inputs = zipped.processor(**given)
            assert torch.equal(inputs["input_ids"], processor(**given)["input_ids"])
            said = answer(model, inputs, None, max_new_tokens=3)
            assert said.shape == (1, 3)
            stock = int((inputs["input_ids"] == 4).sum())
            assert zipped.tokens.counts[0].tolist() == [stock, stock, round(stock / 4)]


def test_where_images_may_have_any_number_of_tokens_shares_decide():
    model, processor = families.made("video_llava")
    with vzlib.zip_model(model, processor, method="fastv(removed=0.75)") as zipped:
        assert zipped.budget is None
        given = {"images": tiny.image(), "text": tiny.QUESTIONS[0], "return_tensors": "pt"}
        inputs = zipped.processor(**given)
        assert answer(model, inputs, None, max_new_tokens=3).shape == (1, 3)
        counts = zipped.tokens.counts[0]
        assert counts[0] == counts[1] > 4 and counts[2] == round(int(counts[0]) / 4)
    with pytest.raises(ValueError, match="fastv cannot retain=20 of images that may have any"):
        vzlib.zip_model(model, processor, retain=20, method="fastv")


@pytest.mark.parametrize("family", ["llava_onevision", "qwen2_5_vl", "qwen3_vl"])
def test_a_language_model_of_another_kind_is_refused_by_name(family):
    model, processor = families.made(family)
    with pytest.raises(ValueError, match=r"fastv cannot prune inside a Qwen.* LlamaModel"):
        vzlib.zip_model(model, processor, method="fastv")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "fastv", "retain": 20}, BudgetError, "average of 20 .*FastV allows 36.75 to"),
        ({"method": "pyramiddrop", "retain": 3}, BudgetError, "out of reach on 8 layers and 144"),
        ({"method": "fastv", "retain": 145}, BudgetError, "average of 145"),
        ({"method": "fastv(removed=0.3)", "retain": 72}, ValueError, "removed cannot be set"),
        ({"method": PRUNING[9], "retain": 72}, ValueError, "keep and written_for cannot be set"),
        ({"method": "sparsevlm-v1", "retain": 72}, ValueError, "leave retain=72 out"),
        ({"method": "fastv(remove=0.3)"}, ValueError, "remove: unknown; did you mean removed"),
        ({"method": "fastv(removed=1.5)"}, ValueError, "removed=1.5"),
        ({"method": "fastvv"}, ValueError, "fastvv: unknown; did you mean fastv"),
        ({"method": "fastv", "retain": True}, ValueError, "retain=True must be a number"),
        ({"method": "fastv", "retain": "64"}, ValueError, "retain='64' must be a number"),
        ({"method": "fastv", "budget": vzlib.Budget(8, 2)}, ValueError, "not budget="),
        ({"method": "fastv", "compile": True}, ValueError, "compile=True.*: fastv allows"),
        ({"method": "fastv", "merge": "paper"}, ValueError, "merge='paper'.*: fastv allows"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_changed(llava, arguments, error, message):
    model, processor = llava
    with pytest.raises(error, match=message):
        vzlib.zip_model(model, processor, **arguments)
    assert not {"forward", "generate"} & model.__dict__.keys()
    assert "forward" not in model.model.language_model.__dict__


REFUSED = [
    ({"num_beams": 1, "prompt_lookup_num_tokens": 2}, "prompt_lookup_num_tokens"),
    ({"prefill_chunk_size": 16}, "prefill_chunk_size"),
    ({"use_cache": False}, "use_cache=False"),
    ({"assistant_model": object()}, "assistant_model"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=lambda value: str(value)[:24])
@pytest.mark.parametrize("name", ["fastv", "sparsevlm", "sparsevlm-v1", "pyramiddrop"])
def test_what_cannot_be_generated_is_refused_before_anything_runs(
    llava, inputs, options, message, name
):
    model, processor = llava
    ran = model.model.vision_tower.register_forward_hook(lambda *_: pytest.fail("it ran"))
    try:
        with vzlib.zip_model(model, processor, method=name):
            with pytest.raises(ValueError, match=f"{name} cannot generate with {message}"):
                model.generate(**inputs, **options)
            if "assistant_model" not in options:
                config = copy.deepcopy(model.generation_config)
                config.update(**options)
                with pytest.raises(ValueError, match=f"{name} cannot generate with {message}"):
                    model.generate(**inputs, generation_config=config)
            with pytest.raises(ValueError, match=f"{name} cannot take labels"):
                model(**inputs, labels=inputs["input_ids"])
    finally:
        ran.remove()


def test_other_refusals(llava, inputs):
    model, processor = llava
    silent = tiny.batch(processor, ["USER: <image>"], images=1)
    first = tiny.batch(processor, ["<image> what ? <image>", "how many ?"], images=2)
    with vzlib.zip_model(model, processor, method="fastv"):
        for given in (silent, first):
            with pytest.raises(ValueError, match="text must follow the last image"):
                model.generate(**given, max_new_tokens=1)
        length = inputs["input_ids"].shape[1]
        whole = torch.ones(1, 1, length, length, dtype=torch.bool)
        with pytest.raises(ValueError, match=r"attention_mask of padding \[B, S\], not \(1, 1"):
            model(**{**inputs, "attention_mask": whole})
        with pytest.raises(ValueError, match="a language model that prunes cannot be compiled"):
            compiled_prefill(model)
    prefill = compiled_prefill(model, attach=False)
    with vzlib.zip_model(model, processor, method="fastv"), pytest.raises(ValueError), prefill:
        pass
    with prefill:
        pass
