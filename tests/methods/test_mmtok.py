"""MMTok: words and patches covered."""

import math

import pytest
import torch
from torch.nn.functional import cosine_similarity

from tests.methods.encodings import encoding, further
from vzlib.methods.before import Further
from vzlib.methods.mmtok import MMTok
from vzlib.tokens.evidence import Encoded


def shares(rows, columns, temperature):
    """Softmax over the columns of every row's cosines, in float64."""
    alike = cosine_similarity(rows[:, None].double(), columns[None].double(), dim=2) / temperature
    return alike.softmax(dim=1).tolist()


def plain(hidden, projected, text, retain):
    """The published objective, evaluated anew for every candidate."""
    of_words, of_patches = shares(text, projected, 0.02), shares(hidden, hidden, 0.2)

    def objective(chosen):
        return sum(
            weight * sum(max(row[j] for j in chosen) for row in rows) / len(rows)
            for weight, rows in ((1, of_words), (0.5, of_patches))
        )

    chosen = []
    while len(chosen) < retain:
        left = [j for j in range(len(hidden)) if j not in chosen]
        chosen.append(max(left, key=lambda j: objective([*chosen, j])))
    return sorted(chosen)


@pytest.mark.parametrize("has_cls", [True, False])
@pytest.mark.parametrize("retain", [1, 4, 11])
def test_equals_the_plain_greedy_loop(has_cls, retain):
    given = encoding(4, has_cls=has_cls, seed=retain)
    told = further(given)
    words = torch.tensor(
        [[True] * 5, [True, True, False, False, False], [False, True] * 2 + [True]]
    )
    told = told._replace(words=words)
    places = MMTok().reduce(given, retain, has_cls=has_cls, further=told).places
    for image in range(3):
        parts = given.hidden[image, has_cls:], told.projected[image, has_cls:]
        expected = plain(*parts, told.text[image, words[image]], retain)
        assert (places[image] - int(has_cls)).tolist() == expected


def test_the_released_objective_worked_out_by_hand():
    """Words at 0 and 90 deg; patches project to 0, 1 and 90 deg, and differ in the tower."""
    angles = torch.tensor([[0.0, 1, 90]]).deg2rad()
    projected = torch.stack([angles.cos(), angles.sin()], dim=2)
    hidden = torch.eye(3).unsqueeze(0)
    given = Encoded(hidden, torch.zeros(1, 3), hidden)
    told = Further(projected=projected, text=torch.tensor([[[7.0, 0], [0, 3]]]))
    # The word at 0 deg has halves for 0 and 1, the other all but exp(-49.1) for 2.
    half = 1 / (1 + math.exp((math.cos(math.radians(1)) - 1) / 0.02))
    assert 0.5 < half < 0.502
    places = {n: MMTok().reduce(given, n, has_cls=False, further=told).places for n in (1, 2)}
    assert places[1].tolist() == [[2]] and places[2].tolist() == [[0, 2]]
    # Patches alone are covered alike by each: of equals the first.
    alone = MMTok(visual=1000.0).reduce(
        given, 1, has_cls=False, further=told._replace(text=hidden[:, :1, :2])
    )
    assert alone.places.tolist() == [[0]]


def test_the_question_changes_what_is_kept():
    given = encoding()
    told = further(given)
    one, other = (
        MMTok().reduce(given, 8, has_cls=True, further=told._replace(text=text)).places
        for text in (told.text, told.text.flip(1) * -1)
    )
    assert not torch.equal(one, other)
    blind = MMTok(visual=1e6)
    one, other = (
        blind.reduce(given, 8, has_cls=True, further=told._replace(text=text)).places
        for text in (told.text, told.text * -1)
    )
    assert torch.equal(one, other)
