"""Every method: keeping all is the stock model, dropping is masking, whatever way it is run."""

import pytest
import torch

from tests import tiny
from tests.methods.inside.conftest import LAYERS, VISUAL
from tests.methods.inside.oracle import masked_forward
from vzlib.evaluation.decoding import embed_prompt, last_logits
from vzlib.methods.fastv import FastV
from vzlib.methods.inside.pruned_prefill import open_prompt, pruned_prefill
from vzlib.methods.inside.schedule import Shape
from vzlib.methods.pyramid_drop import PyramidDrop
from vzlib.methods.sparsevlm import AdaptiveSparseVLM, SparseVLM

ALL = [
    None,
    FastV(removed=0),
    SparseVLM((576, 576, 576)),
    AdaptiveSparseVLM(1e6),
    PyramidDrop(keep=(1, 1, 1)),
]
PRUNING = [
    FastV(2, 0.75, Shape(LAYERS, VISUAL)),
    FastV(2, 0.99),
    SparseVLM.released(64),
    SparseVLM.released(192),
    SparseVLM((40, 20, 6), (1, 2, 5), written_for=Shape(LAYERS, VISUAL)),
    SparseVLM((40, 20, 6), (0, 3, 6), recycles=False, written_for=Shape(LAYERS, VISUAL)),
    AdaptiveSparseVLM.released(192),
    AdaptiveSparseVLM(8, 2, (1, 3, 4, 6), written_for=Shape(LAYERS, VISUAL)),
    PyramidDrop(),
    PyramidDrop((1, 2, 5), (0.6, 0.1, 0.02), Shape(LAYERS, VISUAL)),
]


def prefill(llava, prompt, method, depth=0, **options):
    language_model = llava[0].model.language_model
    opening = open_prompt(language_model, prompt.opening, prompt.image, depth)
    return pruned_prefill(
        language_model, opening, prompt.text, method, asked=prompt.asked, **options
    )


@pytest.mark.parametrize("method", ALL, ids=str)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_keeping_all_gives_exactly_the_logits_of_the_stock_model(
    llava, inputs, prompt, method, attention
):
    model = llava[0]
    model.set_attn_implementation(attention)
    try:
        last = prompt.text.shape[1]
        with torch.no_grad():
            stock = model(**inputs, logits_to_keep=last).logits
        assert torch.equal(last_logits(model, inputs, method, last=last), stock)
    finally:
        model.set_attn_implementation("sdpa")


@pytest.mark.parametrize("method", PRUNING, ids=str)
def test_pruning_equals_masking(llava, prompt, method):
    pruned = prefill(llava, prompt, method)
    hidden, entered = masked_forward(llava[0].model.language_model, prompt, method)
    assert [place[0].tolist() for place in pruned.places] == [one.tolist() for one in entered]
    assert pruned.counts[-1] < VISUAL
    lm_head = llava[0].lm_head
    torch.testing.assert_close(lm_head(pruned.hidden), lm_head(hidden), atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", [None, *PRUNING], ids=str)
@pytest.mark.parametrize("depth", [1, 2, LAYERS])
def test_questions_behind_one_opening_are_as_if_alone(llava, prompt, method, depth):
    alone = prefill(llava, prompt, method)
    behind = prefill(llava, prompt, method, depth)
    torch.testing.assert_close(behind.hidden, alone.hidden, atol=2e-5, rtol=0)
    assert behind.counts == alone.counts
    kept = zip(behind.places, alone.places, strict=True)
    assert all(torch.equal(one, other) for one, other in kept)
    lengths = [layer.keys.shape[2] for layer in behind.cache.layers]
    assert lengths == [count + alone.length - VISUAL for count in alone.counts]


@pytest.mark.parametrize("method", [None, *PRUNING], ids=str)
def test_a_padded_batch_is_as_one_by_one(llava, method):
    model, processor = llava
    both = last_logits(model, tiny.batch(processor), method, last=3, seed=5)
    for i, question in enumerate(tiny.QUESTIONS):
        single = processor(images=tiny.image(i), text=question, return_tensors="pt")
        alone = last_logits(model, single, method, last=3, seed=5)
        torch.testing.assert_close(both[i : i + 1], alone, atol=2e-5, rtol=0)


@pytest.mark.parametrize("method", PRUNING, ids=str)
def test_what_follows_the_prompt_has_no_vote(llava, prompt, method):
    asked = prompt.asked - 4
    alone = prefill(llava, prompt._replace(text=prompt.text[:, :-4], asked=asked), method)
    followed = prefill(llava, prompt._replace(asked=asked), method)
    torch.testing.assert_close(followed.hidden[:, :-4], alone.hidden, atol=2e-5, rtol=0)
    everything = prefill(llava, prompt, method)
    assert not torch.equal(everything.places[-1], alone.places[-1])


def test_recycling_depends_on_the_seed_alone(llava, prompt):
    method = SparseVLM((20, 10, 5), (1, 2, 5), written_for=Shape(LAYERS, VISUAL))
    same = [prefill(llava, prompt, method, seed=3).hidden for _ in range(2)]
    assert torch.equal(*same)
    state = torch.get_rng_state()
    prefill(llava, prompt, method, seed=3)
    assert torch.equal(torch.get_rng_state(), state)  # and leaves everybody's chance alone


def test_bfloat16_and_grouped_keys(llava, inputs):
    model = llava[0]
    assert (
        model.config.text_config.num_key_value_heads < model.config.text_config.num_attention_heads
    )
    model.to(torch.bfloat16)
    try:
        halves = {**inputs, "pixel_values": inputs["pixel_values"].to(torch.bfloat16)}
        for method in PRUNING:
            logits = last_logits(model, halves, method)
            assert logits.dtype == torch.bfloat16 and logits.isfinite().all()
    finally:
        model.to(torch.float32)


def test_refusals(llava, prompt):
    language_model = llava[0].model.language_model
    opening = open_prompt(language_model, prompt.opening, prompt.image)
    with pytest.raises(ValueError, match=r"depth=9 .*0 and 8 layers"):
        open_prompt(language_model, prompt.opening, prompt.image, 9)
    with pytest.raises(ValueError, match=f"image={VISUAL + 99}"):
        open_prompt(language_model, prompt.opening, VISUAL + 99)
    with pytest.raises(ValueError, match=r"asked .*\[99\]"):
        pruned_prefill(language_model, opening, prompt.text, None, asked=torch.tensor([99]))
    two = open_prompt(language_model, prompt.opening.expand(2, -1, -1), prompt.image)
    with pytest.raises(ValueError, match="2 openings for 1 texts"):
        pruned_prefill(language_model, two, prompt.text, None)
    for rows in ([0, 1], [2]):
        with pytest.raises(ValueError, match=r"rows must be 1 numbers between 0 and 1, not "):
            pruned_prefill(language_model, two, prompt.text, None, rows=torch.tensor(rows))
    with pytest.raises(ValueError, match=r"Linear.*LlamaModel"):
        open_prompt(torch.nn.Linear(2, 2), prompt.opening, prompt.image)
    with pytest.raises(ValueError, match="4 stages need at least 5 layers, not 4"):
        AdaptiveSparseVLM.released(64).stages(4, VISUAL)


def test_an_opening_serves_many_questions(llava):
    model, processor = llava
    two = embed_prompt(model, tiny.batch(processor))
    language_model, method = model.model.language_model, FastV()
    opening = open_prompt(language_model, two.opening, two.image, depth=2)
    rows = torch.tensor([0, 1, 0])
    together = pruned_prefill(
        language_model, opening, two.text[rows], method, rows=rows, asked=two.asked[rows]
    )
    apart = pruned_prefill(language_model, opening, two.text, method, asked=two.asked)
    torch.testing.assert_close(together.hidden, apart.hidden[rows], atol=2e-5, rtol=0)
