"""Who votes, and what is done with the votes, against plain loops and the stock attention maps."""

import pytest
import torch

from vzlib.methods.fastv import FastV
from vzlib.methods.inside.raters import last_token, rater_rows, rotated_keys
from vzlib.methods.inside.reduction import average_of_clusters, cluster, reduce_visual
from vzlib.methods.inside.schedule import PUBLISHED, Stage, clusters, recycled_candidates
from vzlib.methods.pyramid_drop import PyramidDrop
from vzlib.methods.sparsevlm import AdaptiveSparseVLM, SparseVLM, text_raters


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_rows_are_those_of_eager_attention(llava, inputs):
    model = llava[0]
    model.set_attn_implementation("eager")
    try:
        stock = model(**inputs, output_attentions=True, output_hidden_states=True)
    finally:
        model.set_attn_implementation("sdpa")
    language_model = model.model.language_model
    length = inputs["input_ids"].shape[1]
    rotation = language_model.rotary_emb(stock.hidden_states[0], torch.arange(length)[None])
    raters = torch.tensor([[3, 70, length - 1]])
    for index in (0, 3, 7):
        layer, hidden = language_model.layers[index], stock.hidden_states[index]
        keys = rotated_keys(layer, hidden, rotation)
        torch.testing.assert_close(keys, stock.past_key_values.layers[index].keys)
        own = tuple(part[:, raters[0]] for part in rotation)
        rows = rater_rows(layer, hidden[:, raters[0]], own, keys, raters + 1)
        expected = stock.attentions[index].mean(1)[:, raters[0]]
        torch.testing.assert_close(rows, expected, atol=1e-5, rtol=0)


def filled(length, counts):
    return torch.arange(length) < torch.tensor(counts).unsqueeze(1)


def test_the_last_token_of_each_prompt_votes():
    voters = last_token(filled(4, [4, 2]))
    assert last_token(filled(4, [4, 2]).flip(1)).tolist() == [[False, False, False, True]] * 2
    assert voters.tolist() == [[False, False, False, True], [False, True, False, False]]


@pytest.mark.parametrize(
    "method, voters",
    [
        (FastV(), last_token),
        (PyramidDrop(), last_token),
        (SparseVLM.released(64), text_raters),
        (AdaptiveSparseVLM.released(64), text_raters),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_who_votes_in_which_method(method, voters):
    given = random(1, 5, 8), random(1, 6, 8, seed=1), filled(6, [6])
    expected = voters(given[2]) if voters is last_token else voters(*given)
    assert torch.equal(method.raters(*given), expected)


def test_which_layer_votes_in_which_method():
    assert FastV().stages(*PUBLISHED) == (Stage(2, 1, 288),)
    drops = ((8, 8, 288), (16, 16, 144), (24, 24, 72))
    assert PyramidDrop().stages(*PUBLISHED) == tuple(Stage(*drop) for drop in drops)
    sparse = ((3, 2, 66, True), (7, 6, 30, True), (16, 15, 17, True))
    assert SparseVLM.released(64).stages(*PUBLISHED) == tuple(Stage(*one) for one in sparse)
    adaptive = AdaptiveSparseVLM.released(64).stages(*PUBLISHED)
    assert [(stage.layer, stage.votes_of) for stage in adaptive] == [
        (3, 2),
        (7, 6),
        (16, 15),
        (20, 19),
    ]
    assert all(stage.recycles for stage in adaptive)


def test_text_raters_in_plain_words():
    visual, text, asked = random(2, 5, 8), random(2, 6, 8, seed=1), torch.tensor([6, 4])
    raters = text_raters(visual, text, filled(6, [6, 4]))
    for row in range(2):
        words = int(asked[row])
        received = [0.0] * words
        for token in visual[row]:
            weights = (text[row, :words] @ token).softmax(0).tolist()
            received = [one + weight / 5 for one, weight in zip(received, weights, strict=True)]
        above = [one > sum(received) / words for one in received]
        assert raters[row].tolist() == above + [False] * (6 - words)
        assert any(above) and not all(above)


def test_words_that_are_all_alike_all_vote():
    text = random(1, 1, 8).expand(1, 3, 8)
    assert text_raters(random(1, 5, 8), text, filled(3, [2])).tolist() == [[True, True, False]]


def test_clusters_as_a_plain_loop_finds_them():
    tokens, count = random(2, 23, 4), 5
    centres, nearest = cluster(tokens, count, seed=2)
    noise = torch.rand(23, generator=torch.Generator().manual_seed(2))
    for row in range(2):
        points = tokens[row]
        distance = [[(a - b).norm().item() / 2 for b in points] for a in points]  # 2 = sqrt(4)
        density = []
        for i in range(23):
            near = sorted(distance[i])[:count]
            mean = torch.tensor([-sum(d * d for d in near) / count])
            density.append(mean.exp().item() + 1e-6 * noise[i].item())
        farthest = max(map(max, distance))
        score = [
            density[i]
            * min([distance[i][j] for j in range(23) if density[j] > density[i]] or [farthest])
            for i in range(23)
        ]
        expected = sorted(range(23), key=lambda i: -score[i])[:count]
        assert centres[row].tolist() == expected
        for i in range(23):
            goes = min(range(count), key=lambda c: distance[i][expected[c]])
            assert nearest[row, i] == (expected.index(i) if i in expected else goes)
        averages = average_of_clusters(tokens, nearest, count)[row]
        for number in range(count):
            members = points[nearest[row] == number]
            torch.testing.assert_close(averages[number], members.mean(0))


def test_noise_decides_among_equals_and_is_seeded():
    tokens = (torch.arange(30) % 2.0).view(1, 30, 1).expand(-1, -1, 4)  # two heaps of equals
    same = [cluster(tokens, 2, seed=1)[0] for _ in range(2)]
    assert same[0].sum() % 2 == 1  # a centre in each heap
    assert torch.equal(*same) and not torch.equal(same[0], cluster(tokens, 2, seed=2)[0])
    batch = cluster(tokens.expand(4, -1, -1), 2, seed=1)[0]
    assert torch.equal(batch, same[0].expand(4, -1))  # nor does a batch change what a prompt gets


@pytest.mark.parametrize(
    "dropped, recycled, made", [(276, 83, 9), (510, 154, 16), (15, 5, 1), (1, 1, 1)]
)
def test_how_many_are_recycled(dropped, recycled, made):
    assert (recycled_candidates(dropped), clusters(dropped)) == (recycled, made)


def test_reduction_keeps_the_best_and_averages_the_next_best():
    hidden, rows = random(1, 40, 6), random(1, 3, 40, seed=1).softmax(-1)
    votes = torch.tensor([[True, True, False]])
    stage = Stage(1, 0, 10, recycles=True)
    reduction = reduce_visual(rows, votes, hidden, stage)
    ranked = rows[0, :2].mean(0).argsort(descending=True).tolist()
    assert reduction.order.shape[1] == 10 + 2  # 30 dropped, 10 recycled into 2
    for place in ranked[:10]:
        new = reduction.assignment[0, place]
        assert torch.equal(reduction.hidden[0, new], hidden[0, place])
        assert (reduction.assignment[0] == new).sum() == 1
    assert (reduction.assignment[0, ranked[20:]] == -1).all()
    recycled = reduction.assignment[0, ranked[10:20]]
    for new in recycled.unique():
        members = hidden[0, reduction.assignment[0] == new]
        torch.testing.assert_close(reduction.hidden[0, new], members.mean(0))
    assert len(recycled.unique()) == 2 and (recycled >= 0).all()
    assert reduce_visual(rows, votes, hidden, Stage(1, 0, 40)) is None


def test_equal_votes_keep_the_first():
    stage = Stage(1, 0, 2)
    rows, votes = torch.full((1, 1, 5), 0.2), torch.ones(1, 1, dtype=torch.bool)
    assert reduce_visual(rows, votes, random(1, 5, 3), stage).order.tolist() == [[0, 1]]
