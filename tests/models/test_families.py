"""What holds of every family: stock generate, batches, images, turns, budgets, and undoing it."""

import copy
import pickle

import pytest
import torch
import transformers
from packaging.version import Version

import vzlib
from tests import families, tiny
from vzlib import BudgetError
from vzlib.methods import registry
from vzlib.models.answer import prompt
from vzlib.models.families import FAMILIES
from vzlib.models.host import host, host_of

NAMES = list(families.MADE)
RETAIN = 20
WORDS = ("what is left of the shape ?", "how many", "is red blue ?")
SIZES = ((100, 100), (230, 90), (60, 170))


def inputs_of(processor, images=1, sizes=SIZES):
    """A prompt for each image, of different length, with images of different shape."""
    return processor(
        images=[tiny.image(number, sizes[number]) for number in range(images)],
        text=[prompt(processor, words) for words in WORDS[:images]],
        return_tensors="pt",
        padding=True,
    )


@torch.no_grad()
def said(model, inputs, **options):
    """The words that follow a prompt."""
    chosen = {"max_new_tokens": 4, "do_sample": False, **options}
    return model.generate(**inputs, **chosen)[:, inputs["input_ids"].shape[1] :]


@torch.no_grad()
def logits(model, inputs):
    return model(**inputs).logits


def placeholders(model, inputs):
    return (inputs["input_ids"] == model.config.image_token_id).sum(1).tolist()


@pytest.fixture(params=NAMES)
def family(request):
    return request.param


def test_every_family_with_views_is_tried():
    tried = {host_of(families.made(name)[0]) for name in NAMES}
    assert tried == {host(name) for name in FAMILIES if host(name).VIEWS}


def test_a_batch_with_padding_says_what_each_says_alone(family):
    model, processor = families.made(family)
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
        together = inputs_of(zipped.processor, 3)
        assert placeholders(model, together) == [RETAIN] * 3
        assert (together["attention_mask"] == 0).any()
        words = said(model, together)
        assert [each.tokens.shape[1] for each in zipped.tokens] == [RETAIN] * 3
        for number in range(3):
            alone = zipped.processor(
                images=tiny.image(number, SIZES[number]),
                text=prompt(zipped.processor, WORDS[number]),
                return_tensors="pt",
            )
            assert torch.equal(said(model, alone)[0], words[number])


def test_two_images_beams_a_static_cache_and_a_second_turn(family):
    model, processor = families.made(family)
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
        both = zipped.processor(
            images=[tiny.image(0, SIZES[0]), tiny.image(1, SIZES[1])],
            text=" and ".join(prompt(zipped.processor, words) for words in WORDS[:2]),
            return_tensors="pt",
        )
        assert placeholders(model, both) == [2 * RETAIN]
        usual = said(model, both)
        assert torch.equal(said(model, both, cache_implementation="static"), usual)
        assert said(model, both, num_beams=3).shape == usual.shape
        several = said(model, both, num_beams=2, num_return_sequences=2)
        assert torch.equal(several[:1], said(model, both, num_beams=2))
        turn = model.generate(
            **both, max_new_tokens=4, do_sample=False, return_dict_in_generate=True
        )
        more = torch.cat([turn.sequences, torch.full_like(turn.sequences[:, :2], 5)], dim=1)
        follow = {"input_ids": more, "attention_mask": torch.ones_like(more)}
        again = said(model, {**follow, "past_key_values": turn.past_key_values})
        whole = {**both, **follow}
        for name in ("mm_token_type_ids", "token_type_ids"):
            if name in whole:
                extra = more.shape[1] - whole[name].shape[1]
                whole[name] = torch.nn.functional.pad(whole[name], (0, extra))
        assert torch.equal(again, said(model, whole))


def test_undone_it_is_the_stock_model_bit_by_bit(family):
    model, processor = families.made(family)
    inputs = inputs_of(processor, 2)
    expected, before = logits(model, inputs), dict(model.model.__dict__)
    parts = dict(model.__dict__)
    with vzlib.zip_model(model, processor, retain=RETAIN, method="cdpruner") as zipped:
        said(model, inputs_of(zipped.processor))
    untold = {"rope_deltas"}  # of the last prompt, which every call writes anew
    assert {key: value for key, value in model.model.__dict__.items() if key not in untold} == {
        key: value for key, value in before.items() if key not in untold
    }
    assert model.__dict__ == parts
    assert torch.equal(logits(model, inputs), expected)


def test_all_tokens_give_the_stock_logits_bit_by_bit(family):
    model, processor = families.made(family)
    stock = inputs_of(processor, 3)
    expected, words = logits(model, stock), said(model, stock)
    largest = host_of(model).largest(model.config)
    everything = 10**6 if largest is None else largest.stock
    with vzlib.zip_model(model, processor, retain=everything) as zipped:
        inputs = inputs_of(zipped.processor, 3)
        for name, value in stock.items():
            assert torch.equal(torch.as_tensor(inputs[name]), torch.as_tensor(value)), name
        assert torch.equal(logits(model, inputs), expected)
        assert torch.equal(said(model, inputs), words)
        assert zipped.tokens == [None] * 3


def test_an_image_that_costs_less_stands_whole_beside_one_that_does_not(family):
    model, processor = families.made(family)
    stock = inputs_of(processor, 2)
    costs = placeholders(model, stock)
    if costs[0] == costs[1]:
        assert family in ("video_llava", "mini_gemini")  # whose images are all of one shape
        return
    between = min(costs) + 1
    with vzlib.zip_model(model, processor, retain=between) as zipped:
        inputs = inputs_of(zipped.processor, 2)
        assert placeholders(model, inputs) == [min(cost, between) for cost in costs]
        logits(model, inputs)
        whole = [each is None for each in zipped.tokens]
        assert whole == [cost <= between for cost in costs]
        found = logits(model, inputs)[whole.index(True)]
    expected = logits(model, stock)[whole.index(True)]
    torch.testing.assert_close(found[-3:], expected[-3:], rtol=1e-4, atol=1e-5)


def test_inputs_of_the_stock_processor_shortened_are_those_of_the_zipped_one(family):
    model, processor = families.made(family)
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
        expected = inputs_of(zipped.processor, 3)
        short = zipped.shorten(inputs_of(processor, 3))
        for name in expected:
            assert torch.equal(torch.as_tensor(short[name]), torch.as_tensor(expected[name])), name
        stock = inputs_of(processor, 2)
        message = "image placeholders in the text, but 40 visual|it is not said which tiles are of"
        with pytest.raises(ValueError, match=message):
            logits(model, stock)


@pytest.mark.parametrize("retain", [0, -3, 2.5, "64", True, None])
def test_wrong_budgets_are_refused_before_anything_is_changed(family, retain):
    model, processor = families.made(family)
    error = ValueError if retain is None else BudgetError
    with pytest.raises(error, match=str(retain)):
        vzlib.zip_model(model, processor, retain=retain)
    assert "get_image_features" not in model.model.__dict__


def test_more_than_the_largest_image_has_is_refused(family):
    model, processor = families.made(family)
    largest = host_of(model).largest(model.config)
    if largest is not None:
        with pytest.raises(BudgetError, match=f"between 1 and {largest.stock}"):
            vzlib.zip_model(model, processor, retain=largest.stock + 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"share": "fairly"}, "share='fairly' must be one of 'evenly', 'attention', 'released'"),
        ({"method": "vanilla"}, "'vanilla' keeps all tokens, and their number differs"),
        ({"method": "downsampling"}, "'downsampling' shows the tower a smaller image, which is"),
        ({"method": "divprun"}, "did you mean divprune"),
        ({"method": "visionzip(layer=9)"}, "layer=9 must be between 1 and 4"),
        ({"method": "divprune", "merge": "paper"}, "with a method give retain"),
        ({"budget": vzlib.Budget(8, 2)}, "give either retain or budget"),
    ],
)
def test_what_cannot_be_is_refused_by_name(family, arguments, message):
    model, processor = families.made(family)
    with pytest.raises(ValueError, match=message):
        vzlib.zip_model(model, processor, **{"retain": RETAIN, **arguments})
    assert "get_image_features" not in model.model.__dict__


def pairs():
    """Every method on every family; fast are each method once, and each family."""
    methods = sorted({*registry.names("before")} - {"vanilla", "downsampling"})
    for row, one in enumerate(NAMES):
        for column, name in enumerate(methods):
            marks = () if column % len(NAMES) == row else pytest.mark.slow
            yield pytest.param(one, name, marks=marks)


@pytest.mark.parametrize(("family", "name"), [*pairs()])
def test_every_method_runs_at_the_least_a_middle_and_nearly_all(family, name):
    model, processor = families.made(family)
    cost = placeholders(model, inputs_of(processor))[0]
    for retain in (1, cost // 3, cost - 1):
        with vzlib.zip_model(model, processor, retain=retain, method=name, seed=1) as zipped:
            inputs = inputs_of(zipped.processor)
            spent = placeholders(model, inputs)[0]
            assert spent <= retain
            assert said(model, inputs, max_new_tokens=2).shape == (1, 2)
            (found,) = zipped.tokens
            assert found.tokens.shape[1] == found.places.shape[1] == spent
            assert found.sources.max() < spent
            places = found.places[0][found.places[0] >= 0]
            assert len(places.unique()) == len(places)
            # What stands somewhere also comes from there.
            stands = found.places[0] >= 0
            assert torch.equal(found.sources[0, places], stands.nonzero().squeeze(1))


INSIDE = {  # that a language model of three layers has room for
    "fastv": "fastv(full_layers=1)",
    "sparsevlm": "sparsevlm(keep=(300, 100), voting=(2, 15))",
    "sparsevlm-v1": "sparsevlm-v1(voting=(2, 15))",
    "pyramiddrop": "pyramiddrop(layers=(11, 22), keep=(0.5, 0.25))",
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == "fastv" else pytest.mark.slow)
     for name in registry.names("inside")],
)  # fmt: skip
def test_a_method_inside_the_language_model_runs_or_says_why_not(family, name):
    model, processor = families.made(family)
    if type(model.model.get_decoder()).__name__ != "LlamaModel":
        with pytest.raises(ValueError, match=r"cannot prune inside a Qwen.*: LlamaModel"):
            vzlib.zip_model(model, processor, method=INSIDE[name])
    else:
        with vzlib.zip_model(model, processor, method=INSIDE[name]) as zipped:
            assert said(model, inputs_of(zipped.processor, 2)).shape == (2, 4)
    assert "get_image_features" not in model.model.__dict__


def test_more_views_than_placeholders_are_told(family):
    model, processor = families.made(family)
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
        image = tiny.image(0, SIZES[0])
        if Version(transformers.__version__) >= Version("5.23"):  # older processors count for some
            with pytest.raises(ValueError, match=r"in (the|each) prompts? should be the same as"):
                zipped.processor(images=[image, image], text=prompt(zipped.processor, "how many"))
        both = inputs_of(zipped.processor, 2)
        of_prompts = ("input_ids", "attention_mask", "mm_token_type_ids")
        one = {name: value[:1] if name in of_prompts else value for name, value in both.items()}
        for call in (logits, said):
            with pytest.raises(ValueError, match="20 image placeholders in the text, but 40 vis"):
                call(model, one)


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_and_pickles_are_zipped_and_undone_apart(family, twin):
    # Of its own, as no stock model can be pickled once it was asked for hidden states.
    model, processor = families.MADE[family]()
    zipped = vzlib.zip_model(model, processor, retain=RETAIN)
    other = twin(zipped)
    inputs = inputs_of(zipped.processor, 2)
    expected = said(model, inputs)
    again = inputs_of(other.processor, 2)
    assert torch.equal(said(other.model, again), expected)
    other.undo()
    zipped.undo()
    stock = inputs_of(processor)
    assert torch.equal(logits(other.model, stock), logits(model, stock))


def test_saved_in_the_format_of_the_hub_and_loaded_it_is_zipped_alike(family, tmp_path):
    model, processor = families.made(family)
    loaded, its_processor = families.saved_and_loaded(family, tmp_path)
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
        expected = said(model, inputs_of(zipped.processor, 2))
    with vzlib.zip_model(loaded, its_processor, retain=RETAIN) as zipped:
        assert torch.equal(said(loaded, inputs_of(zipped.processor, 2)), expected)


def test_gradients_reach_the_projector_and_what_is_told_holds_none(family):
    model, processor = families.made(family)
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
        inputs = inputs_of(zipped.processor, 2)
        labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
        loss = model(**inputs, labels=labels).loss
        projector = host_of(model).projector(model.model)
        (first, *_) = projector.parameters()
        (gradient,) = torch.autograd.grad(loss, first)
        assert gradient.abs().sum() > 0
        assert not any(each.tokens.requires_grad for each in zipped.tokens)


def test_recorded_image_by_image(family):
    model, processor = families.made(family)
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
        inputs = inputs_of(zipped.processor, 2)
        with zipped.record() as seen:
            logits(model, inputs)
            said(model, inputs)
    assert [len(batch) for batch in seen] == [2, 2]
    assert seen[0][1].tokens.shape[1] == RETAIN
