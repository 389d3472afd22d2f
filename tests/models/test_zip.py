"""zip_model on a stock LLaVA: what it changes, and that it changes nothing else."""

import copy
import threading

import pytest
import torch

import vzlib
from tests import tiny
from vzlib import Budget, BudgetError
from vzlib.models.towers import encode
from vzlib.tokens import select_and_merge

OVERRIDES = {"get_image_features", "get_placeholder_mask"}


@pytest.fixture(scope="module")
def shared():
    """(model, processor, inputs of the stock processor, stock logits): do not change them."""
    model, processor = tiny.llava()
    inputs = tiny.batch(processor)
    assert (inputs["attention_mask"] == 0).any()  # padded on the left
    return model, processor, inputs, logits(model, inputs)


@torch.no_grad()
def logits(model, inputs):
    return model(**inputs).logits


def positions_seen(model, inputs):
    """Visual positions at the language model's input, where its embedding is no word's."""
    seen = []
    hook = model.model.language_model.register_forward_pre_hook(
        lambda module, arguments, keywords: seen.append(keywords["inputs_embeds"]),
        with_kwargs=True,
    )
    logits(model, inputs)
    hook.remove()
    words = model.get_input_embeddings().weight
    is_word = (seen[0].unsqueeze(2) == words).all(-1).any(-1)
    return (~is_word).sum(1), seen[0].shape[1]


def test_all_tokens_without_cls_give_exactly_the_stock_logits(shared):
    model, processor, inputs, expected = shared
    with vzlib.zip_model(model, processor, Budget.all(576)) as zipped:
        again = tiny.batch(zipped.processor)
        assert torch.equal(again["input_ids"], inputs["input_ids"])
        assert torch.equal(logits(model, again), expected)
    with vzlib.zip_model(model, processor, Budget(575, 0, cls=False)) as zipped:
        assert logits(model, tiny.batch(zipped.processor)).shape != expected.shape


def test_all_tokens_with_cls_give_exactly_the_logits_of_the_full_strategy():
    model, processor = tiny.llava(strategy="full", image_size=96)
    expected = logits(model, tiny.batch(processor))
    with vzlib.zip_model(model, processor, Budget(145, 0)) as zipped:
        assert torch.equal(logits(model, tiny.batch(zipped.processor)), expected)


def test_all_tokens_of_a_tower_without_cls_give_exactly_the_stock_logits():
    model, processor = tiny.llava("siglip", strategy="full", image_size=96, layer=-1)
    expected = logits(model, tiny.batch(processor))
    with vzlib.zip_model(model, processor, retain=144) as zipped:
        assert zipped.budget.contextual == 22
    with vzlib.zip_model(model, processor, Budget.all(144)) as zipped:
        assert torch.equal(logits(model, tiny.batch(zipped.processor)), expected)


@pytest.mark.parametrize("retain", [1, 2, 64, 192])
def test_language_model_sees_exactly_the_retained_positions_of_each_image(shared, retain):
    model, processor, inputs, _ = shared
    words = inputs["input_ids"].shape[1] - 576
    with vzlib.zip_model(model, processor, retain=retain) as zipped:
        inputs = tiny.batch(zipped.processor)
        assert (inputs["input_ids"] == model.config.image_token_id).sum(1).tolist() == [retain] * 2
        visual, length = positions_seen(model, inputs)
    assert visual.tolist() == [retain] * 2
    assert length == words + retain


def test_features_are_those_of_the_method(shared):
    model, processor, _, _ = shared
    with vzlib.zip_model(model, processor, retain=64, merge="paper") as zipped, torch.no_grad():
        pixels = tiny.batch(zipped.processor)["pixel_values"]
        features = model.get_image_features(pixels).pooler_output
        evidence = encode(model.model.vision_tower, pixels, layer=-2)
        tokens = select_and_merge(*evidence, Budget(54, 10), "paper").tokens
        expected = model.model.multi_modal_projector(tokens)
    assert torch.equal(torch.stack(features), expected)


def test_cls_out_still_rates_the_patches_by_the_cls_token(shared):
    model, processor, inputs, _ = shared
    pixels = inputs["pixel_values"]
    zipped = vzlib.zip_model(model, processor, Budget(20, 0, cls=False))
    with zipped, zipped.record() as seen, torch.no_grad():
        model.get_image_features(pixels)
        scores = encode(model.model.vision_tower, pixels).scores[:, 1:]
    expected = scores.topk(20).indices.sort().values
    assert torch.equal(seen[0].kept, expected)


def test_undo_gives_back_the_stock_model_bit_by_bit(shared):
    model, processor, inputs, expected = shared
    before = dict(model.model.__dict__)
    zipped = vzlib.zip_model(model, processor, retain=64)
    assert logits(model, zipped.shorten(inputs)).shape != expected.shape
    zipped.undo()
    zipped.undo()
    assert model.model.__dict__ == before
    assert torch.equal(logits(model, inputs), expected)
    assert torch.equal(tiny.batch(processor)["input_ids"], inputs["input_ids"])


def test_undone_also_when_an_exception_is_raised_inside(shared):
    model, processor, inputs, expected = shared
    with pytest.raises(RuntimeError, match="inside"):  # noqa: SIM117
        with vzlib.zip_model(model, processor, retain=64) as zipped:
            logits(model, tiny.batch(zipped.processor))
            raise RuntimeError("inside")
    assert torch.equal(logits(model, inputs), expected)

    def fail(*_):
        raise RuntimeError("in the tower")

    with pytest.raises(RuntimeError, match="in the tower"):  # noqa: SIM117
        with vzlib.zip_model(model, processor, retain=64) as zipped:
            hook = model.model.vision_tower.encoder.layers[1].register_forward_hook(fail)
            logits(model, tiny.batch(zipped.processor))
    hook.remove()
    assert torch.equal(logits(model, inputs), expected)
    assert not OVERRIDES & model.model.__dict__.keys()


def test_zipping_twice_replaces_and_nested_contexts_restore(shared):
    model, processor, inputs, expected = shared

    def visual_tokens():
        with torch.no_grad():
            return model.get_image_features(inputs["pixel_values"]).pooler_output[0].shape[0]

    first = vzlib.zip_model(model, processor, retain=64)
    second = vzlib.zip_model(model, processor, retain=32)
    assert visual_tokens() == 32
    second.undo()
    assert visual_tokens() == 576
    first.undo()
    with vzlib.zip_model(model, processor, retain=64):
        with vzlib.zip_model(model, processor, retain=16):
            assert visual_tokens() == 16
        assert visual_tokens() == 64
    assert visual_tokens() == 576
    assert torch.equal(logits(model, inputs), expected)


def test_stock_inputs_shortened_equal_those_of_the_zipped_processor(shared):
    model, processor, _, _ = shared
    zipped = vzlib.zip_model(model, processor, retain=64)
    zipped.undo()
    texts = [
        "USER: <image><image> what left ? ASSISTANT:",
        "USER: how many ? ASSISTANT:",
        "USER: <image> ? ASSISTANT:",
    ]
    stock = tiny.batch(processor, texts, images=3)
    stock["labels"] = stock["input_ids"].masked_fill(stock["attention_mask"] == 0, -100)
    short = zipped.shorten(stock)
    expected = tiny.batch(zipped.processor, texts, images=3)
    assert torch.equal(short["input_ids"], expected["input_ids"])
    assert torch.equal(short["attention_mask"], expected["attention_mask"])
    assert torch.equal(short["pixel_values"], expected["pixel_values"])
    labels = expected["input_ids"].masked_fill(expected["attention_mask"] == 0, -100)
    assert torch.equal(short["labels"], labels)
    with pytest.raises(ValueError, match="192 image placeholders from 576 to 64"):
        zipped.shorten(short)


def test_wrong_number_of_placeholders_is_explained(shared):
    model, processor, inputs, _ = shared
    message = "1152 image placeholders .* 128 visual tokens .64 for each of 2 images.*shorten"
    with vzlib.zip_model(model, processor, retain=64), pytest.raises(ValueError, match=message):
        logits(model, inputs)


def test_record_collects_where_tokens_came_from(shared):
    model, processor, _, _ = shared
    with vzlib.zip_model(model, processor, retain=64) as zipped:
        inputs = tiny.batch(zipped.processor)
        with zipped.record() as seen:
            logits(model, inputs)
            model.generate(**inputs, max_new_tokens=3)
        logits(model, inputs)
    assert len(seen) == 2
    assert seen[0].kept.shape == (2, 54) and (seen[0].kept[:, 0] == 0).all()
    assert seen[0].assignment.shape == (2, 577)


def test_threads_do_not_disturb_each_other(shared):
    model, processor, _, _ = shared
    with vzlib.zip_model(model, processor, retain=64) as zipped:
        batches = [tiny.batch(zipped.processor), tiny.batch(zipped.processor)]
        batches[1]["pixel_values"] = batches[1]["pixel_values"].flip(0)
        expected = [logits(model, inputs) for inputs in batches]
        results = [[], []]
        recorded = [0, 0]

        def work(index):
            with zipped.record() as seen:
                for _ in range(4):
                    results[index].append(logits(model, batches[index]))
            recorded[index] = len(seen)

        threads = [threading.Thread(target=work, args=(index,)) for index in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not torch.equal(*expected)
    for mine, wanted in zip(results, expected, strict=True):
        assert len(mine) == 4
        assert all(torch.equal(one, wanted) for one in mine)
    assert recorded == [4, 4]


def test_a_deep_copy_is_zipped_and_runs_its_own_tower():
    model, processor = tiny.llava(image_size=48)
    with vzlib.zip_model(model, processor, retain=8) as zipped:
        inputs = tiny.batch(zipped.processor)
        twin = copy.deepcopy(model)
        with torch.no_grad():
            for parameter in twin.model.vision_tower.parameters():
                parameter.mul_(1.5)
        with zipped.record() as seen:
            assert not torch.equal(logits(twin, inputs), logits(model, inputs))
        assert len(seen) == 1  # the copy's tokens are not the model's
    stock = tiny.batch(processor)
    assert logits(model, stock).shape[1] == stock["input_ids"].shape[1]
    with pytest.raises(ValueError, match="72 image placeholders"):
        logits(twin, stock)
    assert logits(vzlib.unzip_model(twin), stock).shape[1] == stock["input_ids"].shape[1]


def test_budget_without_cls_is_chosen_for_a_tower_without_cls():
    model, processor = tiny.llava("siglip", strategy="full", image_size=96, layer=-1)
    with vzlib.zip_model(model, processor, retain=64) as zipped:
        assert zipped.budget == Budget(54, 10, cls=False)
        assert positions_seen(model, tiny.batch(zipped.processor))[0].tolist() == [64, 64]


@pytest.mark.parametrize("family", ["dinov2", "registers"])
def test_other_towers_with_cls(family):
    model, processor = tiny.llava(family, image_size=96)
    with vzlib.zip_model(model, processor, retain=20) as zipped:
        assert zipped.budget.cls
        assert positions_seen(model, tiny.batch(zipped.processor))[0].tolist() == [20, 20]


def test_explicit_cls_on_a_tower_without_cls_is_refused():
    model, processor = tiny.llava("siglip", strategy="full", image_size=96, layer=-1)
    message = r"needs a CLS token, and SiglipVisionModel has none; use Budget.*cls=False"
    with pytest.raises(ValueError, match=message):
        vzlib.zip_model(model, processor, Budget(54, 10))
    assert not OVERRIDES & model.model.__dict__.keys()


@pytest.mark.parametrize("retain", [0, -3, 578, 10**9, 2.5, "64", True])
def test_retain_out_of_range_is_refused_by_value(shared, retain):
    model, processor, _, _ = shared
    with pytest.raises(BudgetError, match=str(retain)):
        vzlib.zip_model(model, processor, retain=retain)
    assert not OVERRIDES & model.model.__dict__.keys()


def test_budget_larger_than_the_patches_without_cls_is_refused(shared):
    model, processor, _, _ = shared
    vzlib.zip_model(model, processor, Budget(577, 0)).undo()
    with pytest.raises(BudgetError, match="between 1 and 576"):
        vzlib.zip_model(model, processor, Budget(577, 0, cls=False))


@pytest.mark.parametrize("arguments", [{}, {"retain": 64, "budget": Budget(54, 10)}])
def test_exactly_one_of_retain_and_budget(shared, arguments):
    model, processor, _, _ = shared
    with pytest.raises(ValueError, match="either retain or budget"):
        vzlib.zip_model(model, processor, **arguments)


def test_what_is_no_budget_is_refused(shared):
    model, processor, _, _ = shared
    with pytest.raises(ValueError, match=r"such as Budget\(54, 10\), not 64"):
        vzlib.zip_model(model, processor, 64)


def test_unknown_merge_rule_is_refused(shared):
    model, processor, _, _ = shared
    with pytest.raises(ValueError, match="merge='mean'"):
        vzlib.zip_model(model, processor, retain=64, merge="mean")


@pytest.mark.parametrize("seed", ["x", 0.5, None])
def test_a_seed_that_is_no_number_is_refused(shared, seed):
    model, processor, _, _ = shared
    with pytest.raises(ValueError, match=f"seed={seed!r} must be a whole number"):
        vzlib.zip_model(model, processor, retain=64, method="random", seed=seed)


def test_unknown_model_is_refused_by_name(shared):
    model, processor, _, _ = shared
    with pytest.raises(ValueError, match="cannot zip a LlamaModel; supported: Llava"):
        vzlib.zip_model(model.model.language_model, processor, retain=64)


def two_layers(image_size=48):
    """A LLaVA that reads two layers side by side."""
    model, processor = tiny.llava(image_size=image_size)
    model.config.vision_feature_layer = [1, -2]
    first = model.model.multi_modal_projector.linear_1
    torch.manual_seed(0)
    model.model.multi_modal_projector.linear_1 = torch.nn.Linear(
        2 * first.in_features, first.out_features
    )
    return model.eval(), processor


def test_features_of_several_layers_are_reduced_together():
    model, processor = two_layers()
    tower, inputs = model.model.vision_tower, tiny.batch(processor)
    with torch.no_grad():
        stock = logits(model, inputs)
        states = tower(inputs["pixel_values"], output_hidden_states=True).hidden_states
        encoded = encode(tower, inputs["pixel_values"], layer=-2, beside=(1,))
        assert torch.equal(encoded.hidden, torch.cat([states[1], states[-2]], dim=-1))
        assert torch.equal(encoded.scores, encode(tower, inputs["pixel_values"]).scores)
        compiled = torch.compile(encode, backend="eager", fullgraph=True)
        torch.testing.assert_close(
            compiled(tower, inputs["pixel_values"], beside=(1,)).hidden, encoded.hidden
        )
        with vzlib.zip_model(model, processor, retain=36, method="vanilla") as zipped:
            assert torch.equal(logits(model, tiny.batch(zipped.processor)), stock)
        with vzlib.zip_model(model, processor, retain=8) as zipped:
            assert not torch.equal(logits(model, tiny.batch(zipped.processor))[:, -1], stock[:, -1])
        assert torch.equal(logits(model, inputs), stock)


def test_wrong_feature_layers_are_refused():
    model, processor = tiny.llava(image_size=48)
    for wrong, told in (([-1, -2], "deepest, which rates, last"), (0, "layer 0 has no attention")):
        model.config.vision_feature_layer = wrong
        with pytest.raises(ValueError, match=told):
            vzlib.zip_model(model, processor, retain=8)


def test_feature_layer_of_a_call_counts():
    model, processor = tiny.llava(image_size=48)
    with vzlib.zip_model(model, processor, retain=8) as zipped, torch.no_grad():
        inputs = tiny.batch(zipped.processor)
        default, other = model(**inputs), model(**inputs, vision_feature_layer=-1)
        assert not torch.equal(default.logits, other.logits)
        assert torch.equal(default.logits, model(**inputs, vision_feature_layer=3).logits)
        with pytest.raises(ValueError, match="deepest"):
            model(**inputs, vision_feature_layer=[-1, -2])


def test_features_that_are_not_finite_are_refused():
    model, processor = tiny.llava(image_size=48)
    with vzlib.zip_model(model, processor, retain=8) as zipped:
        inputs = tiny.batch(zipped.processor)
        with torch.no_grad():
            model.model.vision_tower.encoder.layers[2].mlp.fc2.bias[3] = float("nan")
        with pytest.raises(ValueError, match="tokens must be finite, but 16 of 512"):
            logits(model, inputs)


def test_pixels_that_are_not_finite_are_refused(shared):
    model, processor, _, _ = shared
    with vzlib.zip_model(model, processor, retain=64) as zipped:
        inputs = tiny.batch(zipped.processor)
        inputs["pixel_values"][1, 0, 7, 7] = float("nan")
        with pytest.raises(ValueError, match="must be finite"):
            logits(model, inputs)


def test_a_tokenizer_is_no_processor(shared):
    model, processor, _, _ = shared
    with pytest.raises(ValueError, match="puts no image placeholders"):
        vzlib.zip_model(model, processor.tokenizer, retain=64)


def test_model_alone_can_be_zipped(shared):
    model, _, inputs, _ = shared
    with vzlib.zip_model(model, retain=64) as zipped:
        assert zipped.processor is None
        assert positions_seen(model, zipped.shorten(inputs))[0].tolist() == [64, 64]
