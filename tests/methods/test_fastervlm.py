"""FasterVLM: the patches that CLS attends to."""

import pytest
import torch

from tests.methods.encodings import encoding, rows_of
from vzlib.methods.fastervlm import FasterVLM
from vzlib.tokens import select_dominant


@pytest.mark.parametrize("has_cls", [True, False])
def test_the_patches_with_the_highest_scores_stay_as_they_are(has_cls):
    given = encoding(has_cls=has_cls)
    tokens = FasterVLM().reduce(given, 10, has_cls=has_cls).tokens
    for own, hidden, scores in zip(tokens, given.hidden, given.scores, strict=True):
        ranked = sorted(range(has_cls, len(scores)), key=lambda i: -scores[i].item())
        assert rows_of(own, hidden) == sorted(ranked[:10])


def test_they_are_the_dominant_tokens_of_visionzip_without_cls():
    given = encoding()
    kept = select_dominant(given.scores, 11, cls=True)[:, 1:]
    tokens = FasterVLM().reduce(given, 10, has_cls=True).tokens
    own = [rows_of(*pair) for pair in zip(tokens, given.hidden, strict=True)]
    assert torch.tensor(own).equal(kept)
