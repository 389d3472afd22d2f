"""VisionZip as a method: the released one, its hyper-parameters, and where tokens come from."""

from dataclasses import replace

import pytest
import torch

from vzlib.methods.before import Further
from vzlib.methods.visionzip import VisionZip
from vzlib.tokens import Budget, BudgetError, select_and_merge
from vzlib.tokens.evidence import Encoded

RELEASED = VisionZip()


@pytest.fixture(scope="module")
def encoded():
    """Evidence on 577 tokens whose keys and hidden states differ in length and direction."""
    draw = torch.Generator().manual_seed(0)
    hidden, keys = (torch.randn(2, 577, 16, generator=draw) for _ in range(2))
    lengths = 1 + 4 * torch.rand(2, 577, 1, generator=draw)
    return Encoded(hidden, torch.rand(2, 577, generator=draw), keys * lengths)


@pytest.mark.parametrize("cls", [True, False])
@pytest.mark.parametrize("merge", ["code", "paper"])
@pytest.mark.parametrize("retain", [1, 2, 7, 64, 192, 576])
def test_the_defaults_are_the_whole_method_bit_by_bit(encoded, cls, merge, retain):
    reduced = VisionZip(merge=merge).reduce(encoded, retain, has_cls=cls)
    zipped = select_and_merge(*encoded, Budget.retain(retain, has_cls=cls), merge)
    assert torch.equal(reduced.tokens, zipped.tokens)
    assert torch.equal(reduced.places, torch.cat([zipped.kept, zipped.targets], dim=1))
    assigned = zipped.assignment >= 0
    dominant = zipped.kept.shape[1]
    assert torch.equal(reduced.sources[assigned], zipped.assignment[assigned] + dominant)
    numbers = torch.arange(dominant).expand(2, -1)
    assert torch.equal(reduced.sources.gather(1, zipped.kept), numbers)


def test_every_published_budget_is_split_as_in_the_paper():
    for retain in range(1, 3000):
        assert RELEASED.budget(retain, True) == Budget.retain(retain)
        assert RELEASED.budget(retain, False) == Budget.retain(retain, has_cls=False)
    assert VisionZip(contextual=0).budget(64, True) == Budget(64, 0)
    assert VisionZip(contextual=1).budget(64, True) == Budget(1, 63)


@pytest.mark.parametrize(
    "change",
    [
        {"compared": "hidden"},
        {"compared": "nothing"},
        {"similarity": "dot"},
        {"spacing": "even"},
        {"merge": "paper"},
    ],
    ids=str,
)
def test_choices_of_merging_leave_dominant_tokens_alone(encoded, change):
    tokens, released = (
        one.reduce(encoded, 64, has_cls=True).tokens
        for one in (replace(RELEASED, **change), RELEASED)
    )
    assert torch.equal(tokens[:, :54], released[:, :54])
    assert not torch.isclose(tokens[:, 54:], released[:, 54:]).all(-1).all(0).any()


def test_targets_that_nothing_merges_into_are_tokens_as_they_are(encoded):
    reduced = VisionZip(compared="nothing").reduce(encoded, 64, has_cls=True)
    for image in range(2):
        kept = {0, *(encoded.scores[image, 1:].topk(53).indices + 1).tolist()}
        leftovers = [index for index in range(577) if index not in kept]
        targets = leftovers[0 : 10 * 52 : 52]
        assert torch.equal(reduced.tokens[image, 54:], encoded.hidden[image, targets])
        assert reduced.places[image, 54:].tolist() == targets
    assert ((reduced.sources >= 0).sum(dim=1) == 64).all()


def test_without_cls_one_patch_more_stays(encoded):
    reduced = VisionZip(contextual=0, cls=False).reduce(encoded, 54, has_cls=True)
    best = encoded.scores[0, 1:].topk(54).indices.sort().values + 1
    assert torch.equal(reduced.places[0], best)
    assert torch.equal(reduced.tokens[0], encoded.hidden[0, best])
    assert (reduced.sources[:, 0] == -1).all()
    merged = VisionZip(cls=False).reduce(encoded, 576, has_cls=True)
    assert (merged.sources[:, 0] == -1).all() and (merged.sources[:, 1:] >= 0).all()


def test_another_layer_selects_and_features_stay(encoded):
    received = torch.rand(2, 4, 577, generator=torch.Generator().manual_seed(1))
    method = VisionZip(layer=3, contextual=0)
    assert method.needs == ("received",)
    given = {"has_cls": True, "further": Further(received=received)}
    tokens = method.reduce(encoded, 54, **given).tokens
    best = received[0, 2, 1:].topk(53).indices.sort().values + 1
    assert torch.equal(tokens[0, 1:], encoded.hidden[0, best])
    with pytest.raises(ValueError, match="layer=5 must be between 1 and 4"):
        VisionZip(layer=5).reduce(encoded, 54, **given)
    with pytest.raises(ValueError, match=r"visionzip\(layer=3\) must be given the attention rec"):
        VisionZip(layer=3).reduce(encoded, 54, has_cls=True)


def test_what_is_not_allowed_is_named():
    for wrong, message in (
        ({"merge": "papr"}, "merge='papr' should be 'code' or 'paper'"),
        ({"contextual": 1.5}, "contextual=1.5 should be less than or equal to 1"),
        ({"layer": 0, "cls": 1}, "cls=1 should be a valid boolean; layer=0 should be greater"),
    ):
        with pytest.raises(ValueError, match=message):
            VisionZip(**wrong)
    with pytest.raises(BudgetError, match="retain=38 must be an integer between 1 and 37 tokens"):
        RELEASED.reduce(Encoded(*(torch.rand(1, 37, 4) for _ in range(3))), 38, has_cls=True)
