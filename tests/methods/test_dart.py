"""DART before the language model: what repeats no pivot."""

import pytest
import torch
from torch.nn.functional import cosine_similarity

from tests.methods.encodings import encoding, further
from vzlib.methods.before import Further
from vzlib.methods.dart import DART
from vzlib.tokens.evidence import Encoded


def plain(projected, text, retain, of_image, of_text):
    """The rule for one image, in lists."""

    def longest(rows, count):
        return sorted(range(len(rows)), key=lambda i: -rows[i].abs().sum().item())[:count]

    kept = longest(projected, min(of_image, retain))
    pivots = [projected[i] for i in kept] + [text[i] for i in longest(text, of_text)]
    budget = retain - len(kept)
    for number, pivot in enumerate(pivots):
        alike = {
            i: cosine_similarity(pivot, projected[i], dim=0).item()
            for i in range(len(projected))
            if i not in kept
        }
        share = budget // len(pivots) + (number < budget % len(pivots))
        kept = kept + sorted(alike, key=alike.get)[:share]
    return sorted(kept)


@pytest.mark.parametrize("has_cls", [True, False])
@pytest.mark.parametrize("pivots", [(4, 4), (1, 2), (0, 3), (5, 0)])
@pytest.mark.parametrize("retain", [1, 3, 12, 30])
def test_equals_the_plain_loop(has_cls, pivots, retain):
    given = encoding(has_cls=has_cls, seed=retain)
    told = further(given)
    words = torch.tensor(
        [[True] * 5, [True, False, True, True, True], [False, True, True, True, True]]
    )
    told = told._replace(words=words)
    places = DART(*pivots).reduce(given, retain, has_cls=has_cls, further=told).places
    for image in range(3):
        parts = told.projected[image, has_cls:], told.text[image, words[image]]
        assert (places[image] - int(has_cls)).tolist() == plain(*parts, retain, *pivots)


def test_pivots_and_what_is_unlike_them_by_hand():
    """A patch of length 9 at 0 deg and a word at 90 deg take one patch each, in turn."""
    angles, lengths = torch.tensor([[0.0, 10, 80, 170, 250, 260]]).deg2rad(), [9.0, 1, 1, 1, 1, 1]
    projected = torch.stack([angles.cos(), angles.sin()], dim=2) * torch.tensor(lengths)[:, None]
    given = Encoded(projected, torch.zeros(1, 6), projected)
    told = Further(projected=projected, text=torch.tensor([[[0.0, 2.0], [1, 0]]]))
    places = {
        n: DART(1, 1).reduce(given, n, has_cls=False, further=told).places.tolist()[0]
        for n in (1, 2, 3, 5)
    }
    # Least like 0 deg: 170, then 250 and 260; least like 90 deg: 260 (170 apart), then 250.
    assert places == {1: [0], 2: [0, 3], 3: [0, 3, 5], 5: [0, 1, 3, 4, 5]}


def test_a_question_of_few_words_uses_its_longest_again():
    given = encoding()
    told = further(given)
    words = torch.zeros(3, 5, dtype=torch.bool)
    words[:, 1:3] = True
    few = DART().reduce(given, 20, has_cls=True, further=told._replace(words=words)).places
    first = told.text[:, 1:3].abs().sum(dim=2).argmax(dim=1).tolist()
    shrunk = torch.tensor([1, 1, 0.001, 0.001])[:, None]  # the same direction, and last in turn
    text = torch.stack(
        [told.text[image, 1:3][[k, 1 - k, k, k]] * shrunk for image, k in enumerate(first)]
    )
    again = DART().reduce(given, 20, has_cls=True, further=told._replace(text=text)).places
    assert torch.equal(few, again)


def test_without_any_pivot_there_is_nothing_to_be_unlike():
    with pytest.raises(ValueError, match="leave no pivot"):
        DART(0, 0)
    assert DART(2, 0).needs == ("projected",)
