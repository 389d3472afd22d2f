"""Every method before the language model under stock generate; the others are refused by name."""

import pickle
from functools import partial

import pytest
import torch

import vzlib
from tests import tiny
from vzlib import Budget, BudgetError
from vzlib.methods import VisionZip, registry
from vzlib.methods.before import Further
from vzlib.models.answer import prompt
from vzlib.models.question import _at_hand, asked_here, frame_of
from vzlib.models.smaller import look_smaller
from vzlib.models.towers import encode, received_by_layer

NAMES = registry.names("before")
RETAIN, PATCHES = 20, 144


@pytest.fixture(scope="module")
def shared():
    return tiny.llava(image_size=96, seed=2)


def prompts(processor, *questions):
    return [prompt(processor, question) for question in questions]


def inputs_of(zipped, count=1, questions=("what colour is it ?", "how many", "what is left of")):
    images = [tiny.image(number) for number in range(count)]
    texts = prompts(zipped.processor, *questions[:count])
    return zipped.processor(images=images, text=texts, return_tensors="pt", padding=True)


@torch.no_grad()
def said(zipped, inputs, **options):
    chosen = {"max_new_tokens": 4, "do_sample": False, **options}
    return zipped.model.generate(**inputs, **chosen)


@torch.no_grad()
@pytest.mark.parametrize("family", ["clip", "dinov2"])
def test_downsampling_is_the_tower_on_a_smaller_image(family):
    model, processor = tiny.llava(family, image_size=96, seed=2)
    for retain in (20, 32):
        with vzlib.zip_model(model, processor, retain=retain, method="downsampling") as zipped:
            inputs = inputs_of(zipped, 2)
            words = said(zipped, inputs)
            assert words.shape[1] > inputs["input_ids"].shape[1]
            found, pixels = zipped.tokens.tokens, (inputs["pixel_values"],)
            small = look_smaller(model.model.vision_tower, pixels, (-2,), 4, retain // 4)
            assert found.shape[1] == retain and torch.equal(found, small)
    for retain, nearest in ((31, r"30 \(5 x 6\) and 32 \(4 x 8\)"), (143, "132.* and 144")):
        with pytest.raises(BudgetError, match=rf"retain={retain} is no grid .*: {nearest}"):
            vzlib.zip_model(model, processor, retain=retain, method="downsampling")
    with pytest.raises(BudgetError, match="vanilla keeps all 144 patches, not 64"):
        vzlib.zip_model(model, processor, retain=64, method="vanilla")


def retained(name):
    return PATCHES if name == "vanilla" else RETAIN


@pytest.mark.parametrize("name", NAMES)
def test_generate_with_batches_images_caches_and_turns(shared, name):
    model, processor = shared
    retain = retained(name)
    before = plain(model, processor)
    with vzlib.zip_model(model, processor, retain=retain, method=name) as zipped:
        # A batch with padding says what each says alone.
        together = inputs_of(zipped, 3)
        assert (together["attention_mask"] == 0).any()
        assert (together["input_ids"] == model.config.image_token_id).sum(1).eq(retain).all()
        words = said(zipped, together)[:, together["input_ids"].shape[1] :]
        assert zipped.tokens.tokens.shape[:2] == (3, retain)
        assert zipped.tokens.places.shape == (3, retain)
        assert zipped.tokens.sources.max() < retain
        if not registry.row(name).draws:  # what is drawn differs from row to row
            alone = inputs_of(zipped)
            first = said(zipped, alone)[:, alone["input_ids"].shape[1] :]
            assert torch.equal(words[:1, : first.shape[1]], first)
        # Two images in one prompt, a static cache, a second turn on the same cache.
        both = zipped.processor(
            images=[tiny.image(0), tiny.image(1)],
            text=" and ".join(prompts(zipped.processor, "what", "how")),
            return_tensors="pt",
        )
        assert (both["input_ids"] == model.config.image_token_id).sum() == 2 * retain
        usual = said(zipped, both)
        assert torch.equal(said(zipped, both, cache_implementation="static"), usual)
        turn = said(zipped, both, return_dict_in_generate=True)
        more = torch.cat([turn.sequences, turn.sequences[:, :2] * 0 + 5], dim=1)
        follow = {"input_ids": more, "attention_mask": torch.ones_like(more)}
        again = said(zipped, follow, past_key_values=turn.past_key_values)
        if "text" not in registry.method(name).needs:  # else the longer text chooses other tokens
            assert torch.equal(again, said(zipped, {**both, **follow}))
    assert torch.equal(plain(model, processor), before)
    assert not {"get_image_features", "forward"} & model.model.__dict__.keys()


@torch.no_grad()
def plain(model, processor):
    """Logits of the model as it is, with inputs of its stock processor."""
    images = [tiny.image(0)]
    return model(
        **processor(images=images, text=prompts(processor, "what"), return_tensors="pt")
    ).logits


def test_what_is_told_of_the_tokens_holds_no_graph(shared):
    model, processor = shared
    for chosen in ({}, {"method": "divprune"}):
        with vzlib.zip_model(model, processor, retain=RETAIN, **chosen) as zipped:
            assert model(**inputs_of(zipped)).logits.requires_grad
            assert not zipped.tokens.tokens.requires_grad


@pytest.mark.parametrize("name", NAMES)
def test_the_language_model_gets_what_the_method_gives(shared, name):
    model, processor = shared
    question = "what colour is it ?"
    with vzlib.zip_model(model, processor, retain=retained(name), method=name, seed=3) as zipped:
        inputs = inputs_of(zipped, questions=(question,))
        said(zipped, inputs, max_new_tokens=1)
        found = zipped.tokens
    tower, pixels = model.model.vision_tower, inputs["pixel_values"]
    ids = processor.tokenizer(question, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        evidence = encode(tower, pixels)
        further = Further(
            received=received_by_layer(tower, pixels),
            received_from_all=received_by_layer(tower, pixels, cls=False),
            projected=model.model.multi_modal_projector(evidence.hidden),
            text=model.get_input_embeddings()(ids),
            smaller=partial(look_smaller, tower, (pixels,), (-2,)),
        )
        method = registry.method(name)
        expected = method.reduce(evidence, retained(name), has_cls=True, seed=3, further=further)
    for part, other in zip(found, expected, strict=True):
        assert torch.equal(part, other)


@pytest.mark.parametrize("name", ["divprune", "cdpruner", "visionzip(cls=False)"])
def test_copies_are_zipped_with_the_method_too(name):
    model, processor = tiny.llava(image_size=96, seed=2)  # what was captured cannot be pickled
    zipped = vzlib.zip_model(model, processor, retain=RETAIN, method=name)
    again = pickle.loads(pickle.dumps(model))
    inputs = inputs_of(zipped)
    expected = said(zipped, inputs)
    with torch.no_grad():
        words = again.generate(**inputs, max_new_tokens=4, do_sample=False)
    assert torch.equal(words, expected)
    vzlib.unzip_model(again)
    assert not {"get_image_features", "forward"} & again.model.__dict__.keys()


def test_the_budget_and_the_method_of_visionzip_give_the_same(shared):
    model, processor = shared
    found = []
    for chosen in ({}, {"method": "visionzip"}, {"method": vzlib.methods.VisionZip()}):
        with vzlib.zip_model(model, processor, retain=RETAIN, **chosen) as zipped:
            said(zipped, inputs_of(zipped), max_new_tokens=1)
            found.append(zipped.tokens)
            assert zipped.budget == Budget.retain(RETAIN) and zipped.method.name == "visionzip"
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
    with vzlib.zip_model(model, processor, Budget(7, 3, cls=False), merge="paper") as zipped:
        said(zipped, inputs_of(zipped), max_new_tokens=1)
        assert zipped.method.name == "visionzip-paper(contextual=0.3, cls=False)"
        assert (zipped.tokens.places > 0).all() and (zipped.tokens.sources[:, 0] == -1).all()


def test_a_question_is_what_the_template_leaves(shared):
    model, processor = shared
    questions = ("what colour is it ?", "how many")
    with vzlib.zip_model(model, processor, retain=RETAIN, method="cdpruner") as zipped:
        inputs = inputs_of(zipped, 2, questions)
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        with _at_hand(model.model, ids, mask), torch.no_grad():
            text, words = asked_here(model.model, frame_of(processor), [RETAIN, RETAIN])
    alone = [processor.tokenizer(one, add_special_tokens=False)["input_ids"] for one in questions]
    assert words.sum(1).tolist() == [len(one) for one in alone]
    embedded = model.get_input_embeddings()(torch.tensor(alone[0]))
    assert torch.equal(text[0, : len(alone[0])], embedded)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "divprun"}, ValueError, "divprun: unknown; did you mean divprune"),
        ({"method": "divprune(alpha=1)"}, ValueError, "hyper-parameter of divprune alpha: unknown"),
        ({"method": 7}, ValueError, "method=7 must be a name"),
        ({"method": "divprune", "retain": None}, ValueError, "with a method give retain"),
        ({"method": "divprune", "merge": "paper"}, ValueError, "is VisionZip's"),
        ({"method": "divprune", "retain": 145}, BudgetError, "retain=145 .* between 1 and 144"),
        ({"method": "visionzip", "retain": 146}, BudgetError, "between 1 and 145"),
        ({"method": "visionzip(layer=9)"}, ValueError, "layer=9 must be between 1 and 4"),
        ({"method": "divprune", "budget": Budget(8, 2)}, ValueError, "not budget="),
        ({"method": "cdpruner", "processor": None}, ValueError, "cdpruner chooses by the question"),
        ({"method": "scope(alhpa=1)"}, ValueError, "scope alhpa: unknown; did you mean alpha"),
        ({"method": "vispruner(important=1.5)"}, ValueError, "important=1.5 should be less than"),
        ({"method": "visionzip(merge='mean')"}, ValueError, "should be 'code' or 'paper'"),
        ({"method": "hiprune(layer=9)"}, ValueError, "layer=9 must be between 1 and 4"),
        ({"method": "fastv + divprune"}, ValueError, "unknown; did you mean divprune"),
        ({"method": "divprune("}, ValueError, "must be written as name or name"),
        ({"method": VisionZip}, ValueError, "must be a name such as 'divprune', or an object"),
        ({"method": "fastv", "retain": 2}, BudgetError, "out of reach on .* nearest is FastV"),
        ({"method": "sparsevlm-v1"}, ValueError, f"leave retain={RETAIN} out"),
        ({"method": "divprune", "share": "released"}, ValueError, "has one view"),
        ({"method": "fastv", "retain": 130, "compile": True}, ValueError, "fastv allows only"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_changed(shared, arguments, error, message):
    model, processor = shared
    given = {"processor": processor, "retain": RETAIN, **arguments}
    with pytest.raises(error, match=message):
        vzlib.zip_model(model, **given)
    assert not model.model.__dict__.keys() & {"get_image_features", "forward"}


def test_a_method_that_reads_the_question_says_so_where_there_is_none(shared):
    model, processor = shared
    with vzlib.zip_model(model, processor, retain=RETAIN, method="cdpruner") as zipped:
        pixels = inputs_of(zipped)["pixel_values"]
        with pytest.raises(ValueError, match="call the model with input_ids and pixel_values"):
            model.get_image_features(pixel_values=pixels)
