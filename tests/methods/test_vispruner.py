"""VisPruner: half important, half diverse."""

import pytest
import torch
from torch.nn.functional import cosine_similarity

from tests.methods.encodings import encoding, rows_of
from vzlib.methods.fastervlm import FasterVLM
from vzlib.methods.vispruner import VisPruner
from vzlib.tokens.evidence import Encoded


def plain(hidden, scores, retain):
    """The published rounds for one image [S, D], [S] of patches, in Python lists."""
    rest = sorted(range(len(scores)), key=lambda i: -scores[i].item())
    important, rest = rest[: retain // 2], rest[retain // 2 :]
    similarity = cosine_similarity(hidden[:, None], hidden[None], dim=2)
    while len(rest) > retain - len(important):
        even, odd = rest[::2], rest[1::2]
        even.sort(key=lambda i: -max(similarity[i, j].item() for j in odd))
        gone = min(8, len(rest) - retain + len(important), len(rest) // 2)
        rest = even[gone:] + odd
    return sorted(important + rest)


@pytest.mark.parametrize("retain", [1, 2, 7, 18, 32, 35])
@pytest.mark.parametrize("has_cls", [True, False])
def test_equals_the_plain_loop(retain, has_cls):
    given = encoding(has_cls=has_cls, seed=retain)
    tokens = VisPruner().reduce(given, retain, has_cls=has_cls).tokens
    for own, hidden, scores in zip(tokens, given.hidden, given.scores, strict=True):
        index = plain(hidden[has_cls:], scores[has_cls:], retain)
        assert rows_of(own, hidden[has_cls:]) == index


def test_half_of_the_budget_is_spent_on_the_most_attended():
    given = encoding(24)
    tokens, attended = (
        VisPruner().reduce(given, 64, has_cls=True).tokens,
        FasterVLM().reduce(given, 32, has_cls=True).tokens,
    )
    for own, important, hidden in zip(tokens, attended, given.hidden, strict=True):
        assert set(rows_of(important, hidden)) < set(rows_of(own, hidden))


def test_a_duplicate_goes_first():
    """35 of 36: what goes is the one at an even position that repeats one at an odd position."""
    given = encoding(has_cls=False)
    hidden, ranked = given.hidden.clone(), given.scores.argsort(1, descending=True)
    expected = []
    for image in range(3):
        rest = ranked[image, 17:].tolist()
        hidden[image, rest[4]] = 2 * hidden[image, rest[7]]
        expected.append(sorted(set(range(36)) - {rest[4]}))
    tokens = VisPruner().reduce(given._replace(hidden=hidden), 35, has_cls=False).tokens
    assert [rows_of(*pair) for pair in zip(tokens, hidden, strict=True)] == expected


def test_the_diverse_half_repeats_itself_less_than_attention_does():
    """Neighbouring patches alike, and attention on one corner: the case the method is for."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(4, 32, 6, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=24, mode="bilinear").flatten(2).mT
    ramp = torch.linspace(1, 0, 576).expand(4, -1)
    given = Encoded(smooth, ramp, smooth)

    def redundancy(tokens):
        similarity = cosine_similarity(tokens[:, :, None], tokens[:, None], dim=3)
        return (similarity - 2 * torch.eye(64)).amax(2).mean()

    ours = redundancy(VisPruner().reduce(given, 64, has_cls=False).tokens)
    assert ours < redundancy(FasterVLM().reduce(given, 64, has_cls=False).tokens) - 0.02


def test_the_released_rule_worked_out_by_hand():
    """Ten patches on a circle, eight to keep; only angles and ranks matter."""
    # By attention: 9, 0, 8, 1 are the important half; then 2, 7, 3, 6, 4, 5 are thinned by two.
    scores = torch.tensor([[9.0, 7, 6, 4, 2, 1, 3, 5, 8, 10]])
    # At even positions 2 (0 deg), 3 (90) and 4 (180); at odd ones 7 (10), 6 (95) and 5 (250):
    # 3 is 5 deg from 6 and 2 is 10 from 7, while 4 is 70 from 5, its nearest, and stays.
    angles = torch.tensor([[300.0, 310, 0, 90, 180, 250, 95, 10, 320, 330]]).deg2rad()
    hidden = torch.stack([angles.cos(), angles.sin()], dim=2)
    reduced = VisPruner().reduce(Encoded(hidden, scores, hidden), 8, has_cls=False)
    assert reduced.places.tolist() == [[0, 1, 4, 5, 6, 7, 8, 9]]


def test_rounds_go_on_with_what_stays_most_similar_first():
    scores = torch.arange(8.0, 0, -1).unsqueeze(0)
    angles = torch.tensor([[300.0, 310, 0, 50, 100, 103, 200, 260]]).deg2rad()
    hidden = torch.stack([angles.cos(), angles.sin()], dim=2)
    given = Encoded(hidden, scores, hidden)
    # Two of four by attention. Of 2, 4, 6 at even places the nearest of 3, 5, 7 is 50, 3 and 60 deg
    # off: 4 and 2 go. Left are 6, 3, 5, 7, so that now 6 and 5 stand at even places, and both go.
    assert VisPruner(dropped=2).reduce(given, 4, has_cls=False).places.tolist() == [[0, 1, 3, 7]]
    # Three of six. Of 3, 5, 7 the nearest of 4, 6 is 50, 3 and 60 deg off: 5 goes. Left are 3, 7,
    # 4, 6: of 3 and 4 at even places the nearest of 7, 6 is 150 and 100 deg off: 4 goes.
    reduced = VisPruner(dropped=1).reduce(given, 6, has_cls=False)
    assert reduced.places.tolist() == [[0, 1, 2, 3, 6, 7]]
