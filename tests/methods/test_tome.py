"""Token merging by bipartite soft matching."""

import pytest
import torch
from torch.nn.functional import cosine_similarity

from tests.methods.encodings import encoding
from vzlib.methods.pooling import Pooling
from vzlib.methods.tome import ToMe, bipartite_groups
from vzlib.tokens.evidence import Encoded

ROUNDS = 24


def plain(hidden, keys, retain):
    """The published matching on one image of patches, token by token, with weighted means."""
    tokens = [(i, 1, hidden[i], keys[i]) for i in range(len(hidden))]  # place, size, values
    at_once = -(-(len(tokens) - retain) // ROUNDS)
    while len(tokens) > retain:
        first, second = tokens[::2], tokens[1::2]
        edges = []
        for i, token in enumerate(first):
            close = [cosine_similarity(token[3], other[3], dim=0).item() for other in second]
            edges.append((max(close), -i, i, close.index(max(close))))
        edges = sorted(edges, reverse=True)
        edges = edges[: min(at_once, len(tokens) - retain, len(tokens) // 2)]
        for _, _, i, j in edges:
            (_, size, *values), (place, other_size, *others) = first[i], second[j]
            total = size + other_size
            second[j] = (
                place,
                total,
                *((a * size + b * other_size) / total for a, b in zip(values, others, strict=True)),
            )
        gone = {i for _, _, i, _ in edges}
        tokens = [token for i, token in enumerate(first) if i not in gone] + second
        tokens.sort(key=lambda token: token[0])
    return torch.stack([token[2] for token in tokens])


@pytest.mark.parametrize("has_cls", [True, False])
@pytest.mark.parametrize("retain", [1, 2, 9, 30, 35])
def test_equals_the_plain_loop(has_cls, retain):
    given = encoding(has_cls=has_cls, seed=retain)
    tokens = ToMe().reduce(given, retain, has_cls=has_cls).tokens
    for own, hidden, keys in zip(tokens, given.hidden, given.keys, strict=True):
        expected = plain(hidden[has_cls:], keys[has_cls:], retain)
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("retain", [1, 13, 64, 300])
def test_the_mean_weighted_by_size_is_that_of_the_patches(retain):
    given = encoding(24)
    place, group = bipartite_groups(given.keys[:, 1:], retain, ROUNDS)
    sizes = (group.unsqueeze(1) == place.unsqueeze(2)).sum(2)
    assert (sizes >= 1).all() and (sizes.sum(1) == 576).all()
    tokens = ToMe().reduce(given, retain, has_cls=True).tokens
    mean = (tokens * sizes.unsqueeze(2)).sum(1) / 576
    torch.testing.assert_close(mean, given.hidden[:, 1:].mean(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3])
def test_patches_with_equal_keys_merge_first(size):
    """Whatever the length of the keys, and into the place of the one at an odd position."""
    given = encoding(has_cls=False)
    keys = given.keys.clone()
    keys[:, 10] = size * keys[:, 15]
    tokens = ToMe().reduce(given._replace(keys=keys), 35, has_cls=False).tokens
    expected = given.hidden.clone()
    expected[:, 15] = expected[:, [10, 15]].mean(1)
    torch.testing.assert_close(tokens, expected[:, torch.arange(36) != 10])


def test_a_round_merges_at_most_half_and_no_more_than_its_share():
    keys = encoding(24).keys[:, 1:]
    _, group = bipartite_groups(keys, 576 - ROUNDS, ROUNDS)
    moved = (group != torch.arange(576)).sum(1)
    assert (moved == ROUNDS).all()  # one merge in each round


def test_merged_tokens_lose_less_than_a_grid_of_cells_on_regions_of_uneven_size():
    """A large flat region and small ones around it, keys telling them apart with some noise."""
    generator = torch.Generator().manual_seed(0)
    kinds = torch.zeros(24, 24, dtype=torch.long)
    for kind in range(1, 40):
        row, column = torch.randint(0, 22, (2,), generator=generator).tolist()
        kinds[row : row + 2, column : column + 2] = kind
    hidden = torch.randn(40, 16, generator=generator)[kinds.flatten()].unsqueeze(0)
    keys = hidden + 0.1 * torch.randn(hidden.shape, generator=generator)
    given = Encoded(hidden, torch.zeros(1, 576), keys)

    def lost(tokens):
        return torch.cdist(hidden, tokens).amin(2).square().mean()

    assert lost(ToMe().reduce(given, 64, has_cls=False).tokens) < 0.2 * lost(
        Pooling().reduce(given, 64, has_cls=False).tokens
    )


def test_the_published_matching_worked_out_by_hand():
    """Four patches, keys on a circle: 2 goes into 1 (1 deg apart), then 0 into both (9.5 deg)."""
    angles = torch.tensor([[100.0, 90, 91, 270]]).deg2rad()
    keys = torch.stack([angles.cos(), angles.sin()], dim=2)
    hidden = torch.tensor([[[3.0], [6], [12], [100]]])
    given = Encoded(hidden, torch.zeros(1, 4), keys)
    merged = {retain: ToMe().reduce(given, retain, has_cls=False) for retain in (3, 2, 1)}
    assert merged[3].tokens.flatten().tolist() == [3, 9, 100]
    assert merged[3].sources.tolist() == [[0, 1, 1, 2]]
    # The mean of three, where one that forgot sizes would be (3 + 9) / 2.
    assert merged[2].tokens.flatten().tolist() == [7, 100]
    assert merged[2].places.tolist() == [[1, 3]] and merged[2].sources.tolist() == [[0, 0, 0, 1]]
    assert merged[1].tokens.flatten().tolist() == [30.25]


def test_only_tokens_at_even_places_move_however_alike_those_at_odd_ones_are():
    angles = torch.tensor([[0.0, 90, 170, 90]]).deg2rad()
    keys = torch.stack([angles.cos(), angles.sin()], dim=2)
    given = Encoded(keys, torch.zeros(1, 4), keys)
    assert ToMe().reduce(given, 3, has_cls=False).sources.tolist() == [[0, 1, 1, 2]]
