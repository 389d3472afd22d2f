"""Greedy decoding behind a pruned prefill."""

import pytest
import torch

import vzlib
from tests import tiny
from tests.methods.inside.conftest import LAYERS, VISUAL
from tests.methods.inside.oracle import masked_forward
from tests.methods.inside.test_prefill import ALL, PRUNING
from vzlib.evaluation.decoding import decode, embed_prompt, embed_question, generate, last_logits
from vzlib.evaluation.judging import open_images
from vzlib.methods.fastv import FastV
from vzlib.methods.inside.schedule import Shape
from vzlib.methods.pyramid_drop import PyramidDrop
from vzlib.methods.sparsevlm import SparseVLM
from vzlib.models.answer import prompt as prompt_of


@pytest.mark.parametrize("method", ALL, ids=str)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_keeping_all_generates_what_the_stock_model_does(llava, inputs, method, attention):
    model = llava[0]
    model.set_attn_implementation(attention)
    try:
        stock = model.generate(**inputs, max_new_tokens=8, do_sample=False)
        assert torch.equal(generate(model, inputs, method, max_new_tokens=8), stock)
    finally:
        model.set_attn_implementation("sdpa")


@pytest.mark.parametrize("method", PRUNING, ids=str)
def test_every_new_word_is_the_one_after_the_masked_prompt(llava, inputs, prompt, method):
    """The oracle reads prompt and answer again in one pass; only the prompt votes."""
    model = llava[0]
    ids = generate(model, inputs, method, max_new_tokens=6)
    answer = ids[:, inputs["input_ids"].shape[1] :]
    text = torch.cat([prompt.text, model.get_input_embeddings()(answer)], dim=1)
    whole = prompt._replace(text=text)
    hidden, _ = masked_forward(model.model.language_model, whole, method)
    assert torch.equal(model.lm_head(hidden[:, -7:-1]).argmax(-1), answer)


def test_generation_ends_with_an_end_token(llava, inputs):
    model = llava[0]
    length = inputs["input_ids"].shape[1]
    words = generate(model, inputs, FastV(), max_new_tokens=6)[0, length:].tolist()
    for end in (words[2], [words[2], 0]):
        model.generation_config.eos_token_id = end
        try:
            ended = generate(model, inputs, FastV(), max_new_tokens=6)[0, length:].tolist()
        finally:
            model.generation_config.eos_token_id = None
        assert ended == words[: words.index(words[2]) + 1]


@pytest.mark.parametrize("method", [None, *PRUNING], ids=str)
def test_questions_about_one_image_share_its_opening(llava, method):
    model, processor = llava
    pixels = processor.image_processor(images=[tiny.image()], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        visual = torch.stack(list(model.model.get_image_features(pixels).pooler_output))
    opening = open_images(model, processor, visual)
    for question in ("what is the colour ?", "how many blue in image ?"):
        text = prompt_of(processor, question)
        inputs = processor(images=tiny.image(), text=text, return_tensors="pt")
        ids = generate(model, inputs, method, max_new_tokens=4)
        behind = embed_question(model, processor, question)
        decoded = decode(model, opening, behind, method, max_new_tokens=4)
        assert torch.equal(decoded.ids, ids[:, -4:]) and not decoded.ended
        assert len(decoded.places) == LAYERS and len(decoded.places[0]) == VISUAL
        assert (len(decoded.places[-1]) < VISUAL) is (method is not None)
        model.generation_config.eos_token_id = int(ids[0, -3])
        try:
            decoded = decode(model, opening, behind, method, max_new_tokens=4)
        finally:
            model.generation_config.eos_token_id = None
        assert decoded.ended and decoded.ids[0, -1] == ids[0, -3] and decoded.ids.shape[1] <= 2


def test_pruning_follows_a_reduction_before_the_language_model(llava):
    """As in the paper's Table 5: offered only what VisionZip keeps, then pruned inside."""
    model, processor = llava
    with vzlib.zip_model(model, processor, retain=64) as zipped:
        inputs = tiny.batch(zipped.processor, tiny.QUESTIONS[:1], images=1)
        assert (
            embed_prompt(model, inputs).opening.shape[1] == embed_prompt(model, inputs).image + 64
        )
        stock = model.generate(**inputs, max_new_tokens=4, do_sample=False)
        assert torch.equal(generate(model, inputs, FastV(removed=0), max_new_tokens=4), stock)
        method = SparseVLM((20, 10, 5), (1, 2, 5), written_for=Shape(LAYERS, 64))
        with torch.no_grad():
            vanilla = model(**inputs, logits_to_keep=1).logits
        assert not torch.allclose(last_logits(model, inputs, method), vanilla, atol=1e-3)


def test_batches_may_be_padded_on_either_side(llava):
    model, processor = llava
    left = tiny.batch(processor)
    right = {**left}
    order = left["attention_mask"].argsort(dim=1, descending=True, stable=True)
    for name in ("input_ids", "attention_mask"):
        right[name] = left[name].gather(1, order)
    assert not torch.equal(right["input_ids"], left["input_ids"])
    logits = [last_logits(model, inputs, PyramidDrop()) for inputs in (left, right)]
    assert torch.equal(*logits)


def test_refusals(llava, inputs):
    model, processor = llava
    batch = tiny.batch(processor)
    with pytest.raises(ValueError, match="one prompt at a time, not 2"):
        generate(model, batch, FastV())
    with pytest.raises(ValueError, match="max_new_tokens=0"):
        generate(model, inputs, FastV(), max_new_tokens=0)
    with pytest.raises(ValueError, match="last=99 must be between 1 and 9"):
        last_logits(model, inputs, None, last=99)
    two = tiny.batch(processor, ["USER: <image> <image> how many ? ASSISTANT:"], images=2)
    with pytest.raises(ValueError, match=r"one image, in one piece.*288"):
        generate(model, two, FastV())
    moved = tiny.batch(processor, ["USER: <image> how ?", "USER: what <image> how ?"])
    with pytest.raises(ValueError, match=r"same place.*from \[2, 3\]"):
        last_logits(model, moved, FastV())
    blind = {"input_ids": torch.tensor([[1, 5, 6]])}
    with pytest.raises(ValueError, match="there are 0 images"):
        generate(model, blind, FastV())
    silent = tiny.batch(processor, ["USER: <image>"], images=1)
    with pytest.raises(ValueError, match="text must follow the image"):
        generate(model, silent, FastV())
    assert embed_prompt(model, inputs).opening.shape[1] == VISUAL + 2
