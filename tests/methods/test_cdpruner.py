"""CDPruner: a determinantal point process conditioned on the question."""

import pytest
import torch
from torch.nn.functional import cosine_similarity, normalize

from tests.methods.encodings import encoding, further
from vzlib.methods.before import Further
from vzlib.methods.cdpruner import CDPruner, largest_volume
from vzlib.tokens.evidence import Encoded


def plain(projected, text, retain, inverted):
    """The largest determinant at every step, by determinants of sub-matrices in float64."""
    projected, text = projected.double(), text.double()
    relevance = cosine_similarity(projected[:, None], text[None], dim=2).mean(dim=1)
    relevance = -relevance if inverted else relevance
    relevance = (relevance - relevance.min() + 1e-6) / (relevance.max() - relevance.min())
    weighed = normalize(projected, dim=1) * relevance[:, None]
    kernel, chosen = weighed @ weighed.T, []
    while len(chosen) < retain:
        left = [j for j in range(len(kernel)) if j not in chosen]
        chosen.append(max(left, key=lambda j: kernel[[*chosen, j]][:, [*chosen, j]].det().item()))
    return sorted(chosen)


@pytest.mark.parametrize("has_cls", [True, False])
@pytest.mark.parametrize("inverted", [True, False])
@pytest.mark.parametrize("retain", [1, 3, 8])
def test_equals_brute_force_over_determinants(has_cls, inverted, retain):
    given = encoding(5, has_cls=has_cls, seed=retain)
    told = further(given)
    words = torch.tensor(
        [[True] * 5, [True, True, False, False, False], [False, True] * 2 + [True]]
    )
    method = CDPruner(inverted)
    told = told._replace(words=words)
    places = method.reduce(given, retain, has_cls=has_cls, further=told).places
    for image in range(3):
        parts = told.projected[image, has_cls:], told.text[image, words[image]]
        assert (places[image] - int(has_cls)).tolist() == plain(*parts, retain, inverted)


def test_relevance_and_diversity_by_hand():
    """A question at 0 deg; patches at 0, 20, 90 and 180 deg."""
    angles = torch.tensor([[0.0, 20, 90, 180]]).deg2rad()
    projected = torch.stack([angles.cos(), angles.sin()], dim=2)
    given = Encoded(projected, torch.zeros(1, 4), projected)
    told = Further(projected=projected, text=torch.tensor([[[3.0, 0]]]))
    # Relevance (cos + 1) / 2: 1, 0.97, 0.5, 0. After 0 there is left of the others, squared,
    # (0.97 sin 20)^2 = 0.11, 0.5^2 = 0.25 and 0.
    expected = {False: {1: [0], 2: [0, 2]}, True: {1: [3], 2: [2, 3]}}
    for inverted, by_count in expected.items():
        for retain, index in by_count.items():
            method = CDPruner(inverted)
            found = method.reduce(given, retain, has_cls=False, further=told)
            assert found.places.tolist() == [index]


def test_more_tokens_than_dimensions_and_equal_relevance_give_no_nan():
    projected = torch.randn(1, 50, 3, generator=torch.Generator().manual_seed(0))
    given = Encoded(projected, torch.zeros(1, 50), projected)
    for text in (torch.zeros(1, 2, 3), projected[:, :2]):
        told = Further(projected=projected, text=text)
        for retain in (3, 10, 50):
            places = CDPruner().reduce(given, retain, has_cls=False, further=told).places
            assert len(places.unique()) == retain
    assert largest_volume(torch.zeros(2, 4, 4), 3).shape == (2, 3)
