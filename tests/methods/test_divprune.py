"""DivPrune: max-min diversity."""

from itertools import combinations

import pytest
import torch
from torch.nn.functional import cosine_similarity

from tests.methods.encodings import encoding, further, rows_of
from vzlib.methods.divprune import DivPrune


def distances(hidden):
    return 1 - cosine_similarity(hidden[:, None].double(), hidden[None].double(), dim=2)


def plain(hidden, retain):
    """Farthest-first choice among the patches [S, D] of one image, in Python lists."""
    distance, everyone = distances(hidden), range(len(hidden))
    chosen = [max(everyone, key=lambda i: min(distance[i, j] for j in everyone if j != i))]
    while len(chosen) < retain:
        left = [i for i in everyone if i not in chosen]
        chosen.append(max(left, key=lambda i: min(distance[i, j] for j in chosen)))
    return sorted(chosen)


def test_patches_may_be_told_apart_behind_the_projector():
    given = encoding()
    told = further(given)
    method = DivPrune(compared="projected")
    assert method.needs == ("projected",)
    places = method.reduce(given, 8, has_cls=True, further=told).places
    for own, projected in zip(places, told.projected, strict=True):
        assert (own - 1).tolist() == plain(projected[1:], 8)


def smallest(hidden, index):
    return min(distances(hidden)[i, j].item() for i, j in combinations(index, 2))


@pytest.mark.parametrize("has_cls", [True, False])
@pytest.mark.parametrize("retain", [2, 5, 20])
def test_equals_the_plain_greedy_loop(has_cls, retain):
    given = encoding(has_cls=has_cls, seed=retain)
    tokens = DivPrune().reduce(given, retain, has_cls=has_cls).tokens
    for own, hidden in zip(tokens, given.hidden, strict=True):
        patches = hidden[has_cls:]
        assert rows_of(own, patches) == plain(patches, retain)


@pytest.mark.parametrize("retain", [4, 8, 16, 64])
def test_no_random_choice_is_as_diverse(retain):
    given = encoding(24, has_cls=False, batch=1, width=32)
    hidden = given.hidden[0]
    distance = distances(hidden) + 3 * torch.eye(576)

    def diversity(index):
        return distance[index][:, index].min()

    ours = diversity(
        torch.tensor(rows_of(DivPrune().reduce(given, retain, has_cls=False).tokens[0], hidden))
    )
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(1000, 576, generator=generator).argsort(1)[:, :retain]
    assert ours > max(diversity(index) for index in draws)


def test_at_least_half_of_the_optimal_distance_along_the_chord():
    """Of farthest-first choice in a metric, which the chord is and 1 - cosine is its square / 2."""
    for seed in range(5):
        given = encoding(3, has_cls=False, batch=1, seed=seed, width=3)
        hidden = given.hidden[0]
        for retain in (3, 4):
            best = max(smallest(hidden, index) for index in combinations(range(9), retain))
            own = rows_of(DivPrune().reduce(given, retain, has_cls=False).tokens[0], hidden)
            assert smallest(hidden, own) >= best / 4 - 1e-9


def test_of_duplicates_one_is_chosen_until_all_else_is():
    given = encoding(3, has_cls=False, batch=1)
    hidden = given.hidden.clone()
    hidden[:, 5:] = hidden[:, 5:6] * torch.tensor([1.0, 2, 3, 4])[None, :, None]
    tokens = DivPrune().reduce(given._replace(hidden=hidden), 6, has_cls=False).tokens
    index = rows_of(tokens[0], hidden[0])
    assert index[:5] == [0, 1, 2, 3, 4] and len(index) == 6
