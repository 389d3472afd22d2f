"""SCOPE: coverage times attention."""

import pytest
import torch
from torch.nn.functional import cosine_similarity

from tests.methods.encodings import encoding, reduced
from vzlib.methods.scope import SCOPE
from vzlib.tokens.evidence import Encoded


def plain(hidden, attention, retain, alpha):
    """The published gain at every step, from the cover of all that is chosen, in float64."""
    alike = cosine_similarity(hidden[:, None].double(), hidden[None].double(), dim=2).tolist()
    everyone, chosen = range(len(hidden)), []

    def cover(index):
        return sum(max([0.0, *(alike[i][j] for j in index)]) for i in everyone)

    while len(chosen) < retain:
        left = [j for j in everyone if j not in chosen]
        now = cover(chosen)
        gains = {j: attention[j].item() ** alpha * (cover([*chosen, j]) - now) for j in left}
        chosen.append(max(left, key=gains.get))
    return sorted(chosen)


@pytest.mark.parametrize("alpha", [1.0, 0.5, 2.5])
@pytest.mark.parametrize("retain", [1, 4, 11])
def test_equals_the_plain_greedy_loop(retain, alpha):
    given = encoding(4, has_cls=True, seed=retain)
    places = SCOPE(alpha).reduce(given, retain, has_cls=True).places
    for own, hidden, scores in zip(places, given.hidden, given.scores, strict=True):
        assert (own - 1).tolist() == plain(hidden[1:], scores[1:], retain, alpha)


def test_the_released_rule_worked_out_by_hand():
    """Directions at 0, 0 and 90 deg: 0 and 1 each cover two patches, 2 covers one."""
    hidden = torch.tensor([[[2.0, 0], [1, 0], [0, 5]]])
    for attention, expected in (
        ([0.3, 0.2, 0.5], [0, 2]),  # 2 * 0.3 before 1 * 0.5; then 1 adds nothing
        ([0.3, 0.1, 0.7], [0, 2]),  # 2 first
        ([0.2, 0.3, 0.1], [1, 2]),
    ):
        given = Encoded(hidden, torch.tensor([attention]), hidden)
        assert SCOPE().reduce(given, 2, has_cls=False).places.tolist() == [expected]
    first = SCOPE().reduce(
        Encoded(hidden, torch.tensor([[0.3, 0.2, 0.5]]), hidden), 1, has_cls=False
    )
    assert first.places.tolist() == [[0]]  # where attention alone takes 2, and so does HoloV


def test_without_alpha_attention_has_no_part():
    given = encoding()
    other = given._replace(scores=given.scores.flip(1))
    one, two = (SCOPE(0.0).reduce(each, 5, has_cls=True).places for each in (given, other))
    assert torch.equal(one, two)
    assert not torch.equal(one, SCOPE().reduce(given, 5, has_cls=True).places)


def test_many_images_are_chosen_for_as_one_by_one():
    given = encoding(24, batch=5)
    together = reduced("scope", given, 40, True).places
    for image in range(5):
        alone = Encoded(*(part[image : image + 1] for part in given))
        assert torch.equal(reduced("scope", alone, 40, True).places[0], together[image])
