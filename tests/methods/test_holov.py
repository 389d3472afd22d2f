"""HoloV: attention by bands."""

import math

import pytest
import torch

from tests.methods.encodings import encoding
from vzlib.methods.holov import HoloV
from vzlib.tokens.evidence import Encoded


def plain(hidden, attention, retain, bands):
    """The released rule for one image with its variance, in float64; None for vectors of zeros."""
    count, (size, longer) = len(hidden), divmod(len(hidden), bands)
    bounds, start = [], 0
    for band in range(bands):
        bounds.append(range(start, start + size + (band < longer)))
        start += size + (band < longer)
    assert start == count
    scores = []
    for band in bounds:
        own = torch.nn.functional.normalize(hidden[list(band)].double(), dim=1)
        alike = (own @ own.T).tolist()
        others = len(band) - 1
        variances = []
        for i in range(len(band)):
            row = [0.0 if i == j else alike[i][j] for j in range(len(band))]
            mean = sum(row) / others
            variances.append(sum((value - mean) ** 2 for value in row) / others)
        looked = [1000 * attention[i].item() for i in band]
        scale = (sum(looked) / len(band)) / (sum(variances) / len(band) + 1e-6)
        scores.append(
            sum(a + 0.09 * scale * v for a, v in zip(looked, variances, strict=True)) / len(band)
        )
    weights = [score / (sum(scores) + 1e-6) for score in scores]
    quota = [math.floor(weight * retain) for weight in weights]
    for band in sorted(range(bands), key=lambda b: -weights[b])[: retain - sum(quota)]:
        quota[band] += 1
    chosen = []
    for band, most in zip(bounds, quota, strict=True):
        chosen += sorted(band, key=lambda i: -attention[i].item())[:most]
    return chosen + [None] * (retain - len(chosen))


@pytest.mark.parametrize(("side", "bands"), [(24, 16), (6, 5), (4, 4)])
@pytest.mark.parametrize("part", [0.1, 0.3, 0.7])
def test_equals_the_released_rule_variance_included(side, bands, part):
    """Where released code hands on zeros, the most attended of the others stand instead."""
    given, retain = encoding(side, seed=side), round(part * side * side)
    places = HoloV(bands).reduce(given, retain, has_cls=True).places - 1
    short = 0
    for own, hidden, scores in zip(places, given.hidden[:, 1:], given.scores[:, 1:], strict=True):
        expected = plain(hidden, scores, retain, bands)
        chosen = {i for i in expected if i is not None}
        short += len(expected) - len(chosen)
        others = sorted(set(range(side * side)) - chosen, key=lambda i: -scores[i].item())
        assert own.tolist() == sorted(chosen | set(others[: retain - len(chosen)]))
    assert short or part < 0.7 or side < 24


def test_quotas_worked_out_by_hand():
    """Bands of two with means 5, 3, 2 of 10: of four tokens 2.0, 1.2 and 0.8."""
    scores = torch.tensor([[6.0, 4, 3, 3, 3, 1]])
    hidden = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(0))
    given = Encoded(hidden, scores, hidden)
    # Quotas 2, 1, 0 and one more for the first, which has no third patch: the next by attention is
    # the second of the second band, before the first of the third, as it stands before it.
    assert HoloV(bands=3).reduce(given, 4, has_cls=False).places.tolist() == [[0, 1, 2, 3]]
    # Of three 1.5, 0.9, 0.6: one, none, none, and the two left go to the first and the second.
    assert HoloV(bands=3).reduce(given, 3, has_cls=False).places.tolist() == [[0, 1, 2]]


def test_every_band_is_heard_and_without_attention_all_alike():
    given = encoding(24)
    flat = Encoded(given.hidden, torch.zeros_like(given.scores), given.keys)
    for one in (flat, flat._replace(scores=flat.scores + 1)):
        places = HoloV().reduce(one, 64, has_cls=True).places - 1
        assert (torch.bincount(places[0] // 36, minlength=16) >= (1 if one is flat else 4)).all()
