"""HiPrune: anchors, neighbours and registers."""

import pytest
import torch

from tests.methods.encodings import encoding, further
from vzlib.methods.before import Further
from vzlib.methods.hiprune import HiPrune
from vzlib.tokens.evidence import Encoded


def plain(middle, late, retain, alpha, side):
    """The released rule for one image, in sets."""
    count = len(middle)
    ranked = sorted(range(count), key=lambda i: -middle[i].item())
    anchors = set(ranked[: round(retain * alpha / 5)])
    buffers = set()
    for anchor in anchors:
        for step in (-1, 1, -side, side):
            buffers.add(min(max(anchor + step, 0), count - 1))
    kept = anchors | buffers
    assert len(kept) <= retain
    for i in sorted(range(count), key=lambda i: -late[i].item()):
        if len(kept) < retain:
            kept.add(i)
    return sorted(kept)


@pytest.mark.parametrize("has_cls", [True, False])
@pytest.mark.parametrize(
    ("retain", "alpha"), [(64, 0.1), (192, 0.1), (64, 0.5), (300, 0.9), (9, 0)]
)
def test_equals_the_plain_rule_in_sets(has_cls, retain, alpha):
    given = encoding(24, has_cls)
    received = torch.rand(3, 12, 576 + has_cls, generator=torch.Generator().manual_seed(retain))
    told = Further(received_from_all=received)
    places = HiPrune(alpha).reduce(given, retain, has_cls=has_cls, further=told).places
    for own, rows in zip(places, received[:, :, has_cls:], strict=True):
        # Of 12 blocks the 4th or 5th (9 / 2 = 4.5, to even), and the last but one.
        assert (own - int(has_cls)).tolist() == plain(rows[3], rows[10], retain, alpha, 24)


def test_the_published_layers_of_clip_and_neighbours_by_hand():
    """One anchor of 50 tokens on 24 x 24: 24, first of the second row; rows go on in each other."""
    received = torch.zeros(1, 24, 577)
    received[0, 8, 1 + 24] = 1  # the 9th block
    received[0, 22, 1 + 100 : 1 + 200] = torch.linspace(1, 0.1, 100)  # the last but one
    given = encoding(24, batch=1)
    told = Further(received_from_all=received)
    places = HiPrune().reduce(given, 50, has_cls=True, further=told).places - 1
    assert places.tolist() == [[0, 23, 24, 25, 48, *range(100, 145)]]
    corner = torch.zeros(1, 24, 577)
    corner[0, 8, 1 + 5] = corner[0, 22, 1 + 300 :] = 1  # above 5 there is nothing: the first patch
    told = Further(received_from_all=corner)
    places = HiPrune().reduce(given, 50, has_cls=True, further=told).places - 1
    assert places.tolist() == [[0, 4, 5, 6, 29, *range(300, 345)]]


def test_budgets_that_neighbours_overfill_keep_the_anchors():
    given, told = encoding(24), further(encoding(24))
    ranked = told.received_from_all[:, 0, 1:].argsort(dim=1, descending=True, stable=True)
    places = HiPrune(1.0, layer=1).reduce(given, 7, has_cls=True, further=told).places - 1
    for own, first in zip(places, ranked, strict=True):
        assert first[0] in own and len(own) == 7  # round(7 / 5) anchors


def test_wrong_layers_and_shapes_are_refused():
    given, told = encoding(6), further(encoding(6))
    with pytest.raises(ValueError, match="layer=5 must be between 1 and 4"):
        HiPrune(layer=5).reduce(given, 9, has_cls=True, further=told)
    oblong = Encoded(*(part[:, :31] for part in given))
    with pytest.raises(ValueError, match="30 patches do not form a square"):
        HiPrune().reduce(oblong, 9, has_cls=True, further=further(oblong))
