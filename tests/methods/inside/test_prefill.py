"""Every method: dropping is masking, behind an opening that many questions share."""

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from tests import tiny
from tests.methods.inside.conftest import LAYERS, VISUAL, Prompt
from tests.methods.inside.oracle import embedded, masked_forward
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
    return pruned_prefill(language_model, opening, prompt.text, method, **options)


@pytest.mark.parametrize("method", PRUNING, ids=str)
def test_pruning_equals_masking(llava, prompt, method):
    pruned = prefill(llava, prompt, method)
    hidden = torch.cat([prompt.opening, prompt.text], dim=1)
    visual = torch.arange(hidden.shape[1]) - prompt.image
    visual = (visual >= 0) & (visual < VISUAL)
    language_model, length = llava[0].model.language_model, prompt.text.shape[1]
    hidden, entered = masked_forward(language_model, hidden, visual, [hidden.shape[1]], method)
    assert [place[0].tolist() for place in pruned.places] == [one.tolist() for one in entered]
    assert pruned.counts[-1] < VISUAL
    lm_head = llava[0].lm_head
    expected = lm_head(hidden[:, -length:])
    torch.testing.assert_close(lm_head(pruned.hidden), expected, atol=1e-5, rtol=0)


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


@pytest.mark.parametrize("method", PRUNING, ids=str)
def test_what_follows_the_prompt_has_no_vote(llava, prompt, method):
    alone = prefill(llava, prompt._replace(text=prompt.text[:, :-4]), method)
    asked = torch.tensor([prompt.text.shape[1] - 4])
    followed = prefill(llava, prompt, method, asked=asked)
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
    both = [
        embedded(model, processor(images=tiny.image(i), text=text, return_tensors="pt"))[0]
        for i, text in enumerate(tiny.QUESTIONS)
    ]
    end = VISUAL + 2
    beginnings = torch.cat([embeds[:, :end] for embeds in both])
    texts = pad_sequence([embeds[0, end:] for embeds in both], batch_first=True)
    asked = torch.tensor([embeds.shape[1] - end for embeds in both])
    language_model = model.model.language_model
    opening = open_prompt(language_model, beginnings, 2, depth=2)
    rows = torch.tensor([0, 1, 0])
    for method in (FastV(), AdaptiveSparseVLM(8, 2, (2, 4), written_for=Shape(LAYERS, VISUAL))):
        together = pruned_prefill(
            language_model, opening, texts[rows], method, rows=rows, asked=asked[rows]
        )
        for number, row in enumerate(rows.tolist()):
            alone = Prompt(beginnings[row : row + 1], 2, both[row][:, end:])
            alone = prefill(llava, alone, method)
            own = together.hidden[number : number + 1, : asked[row]]
            torch.testing.assert_close(own, alone.hidden, atol=2e-5, rtol=0)
            kept = zip(together.places_of(number), alone.places_of(0), strict=True)
            assert all(torch.equal(one, other) for one, other in kept)
