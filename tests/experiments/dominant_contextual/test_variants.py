"""Variants of VisionZip against plain compositions and against the registered method."""

import pytest
import torch

from tests import tiny
from vzlib.experiments.dominant_contextual.measure import FACTORS
from vzlib.experiments.dominant_contextual.variants import (
    EncodedByLayer,
    Variant,
    choices,
    encode_by_layer,
    reduce,
)
from vzlib.methods.visionzip import visionzip, visionzip_paper
from vzlib.models.load import Loaded
from vzlib.models.towers import encode, received_by_layer

RELEASED = Variant(54, 10)


@pytest.fixture(scope="module")
def encoded():
    """Evidence on 577 tokens whose keys and hidden states differ in length and direction."""
    draw = torch.Generator().manual_seed(0)
    hidden, keys = (torch.randn(2, 577, 16, generator=draw) for _ in range(2))
    lengths = 1 + 4 * torch.rand(2, 577, 1, generator=draw)
    found = EncodedByLayer(hidden, torch.rand(2, 577, generator=draw), keys * lengths)
    found.received = torch.rand(2, 4, 577, generator=draw)
    return found


@pytest.mark.parametrize("cls", [True, False])
def test_the_defaults_are_the_released_method_bit_by_bit(encoded, cls):
    assert torch.equal(reduce(RELEASED, cls, encoded), visionzip(encoded, 64, has_cls=cls))
    other = reduce(RELEASED._replace(merge="paper"), cls, encoded)
    assert torch.equal(other, visionzip_paper(encoded, 64, has_cls=cls))


@pytest.mark.parametrize(
    "change",
    [
        {"compared": "hidden"},
        {"compared": "nothing"},
        {"similarity": "dot"},
        {"spacing": "even"},
    ],
    ids=str,
)
def test_choices_of_merging_leave_dominant_tokens_alone(encoded, change):
    tokens, released = (
        reduce(one, True, encoded) for one in (RELEASED._replace(**change), RELEASED)
    )
    assert torch.equal(tokens[:, :54], released[:, :54])
    assert not torch.isclose(tokens[:, 54:], released[:, 54:]).all(-1).all(0).any()


def test_targets_that_nothing_merges_into_are_tokens_as_they_are(encoded):
    tokens = reduce(RELEASED._replace(compared="nothing"), True, encoded)
    for image in range(2):
        kept = {0, *(encoded.scores[image, 1:].topk(53).indices + 1).tolist()}
        leftovers = [index for index in range(577) if index not in kept]
        expected = encoded.hidden[image, leftovers[0 : 10 * 52 : 52]]
        assert torch.equal(tokens[image, 54:], expected)


def test_without_cls_one_patch_more_stays(encoded):
    tokens = reduce(RELEASED._replace(cls=False, contextual=0), True, encoded)
    best = encoded.scores[0, 1:].topk(54).indices.sort().values + 1
    assert torch.equal(tokens[0], encoded.hidden[0, best])


def test_another_layer_selects_and_features_stay(encoded):
    tokens = reduce(RELEASED._replace(layer=3, contextual=0), True, encoded)
    best = encoded.received[0, 2, 1:].topk(53).indices.sort().values + 1
    assert torch.equal(tokens[0, 1:], encoded.hidden[0, best])


def test_encoding_by_layer_adds_the_attention_of_every_block():
    clip = tiny.tower()
    (pixels,), _ = tiny.tower_inputs()
    with torch.no_grad():
        found = encode_by_layer(clip, pixels, layer=-2)
        for part, expected in zip(found, encode(clip, pixels, layer=-2), strict=True):
            assert torch.equal(part, expected)
        assert torch.equal(found.received, received_by_layer(clip, pixels))
    assert torch.equal(found.received[:, 2], found.scores)  # of four layers the third is read


@pytest.mark.parametrize("total", [12, 16, 64, 192, 576])
@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_every_choice_spends_the_total_and_changes_one_thing(family, total):
    strategy = "default" if family == "clip" else "full"
    loaded = Loaded(*tiny.llava(family, strategy=strategy), "tiny")
    (released,) = choices(loaded, "released", total).values()
    assert released.dominant + released.contextual == total
    seen = set()
    for factor in FACTORS:
        for name, variant in choices(loaded, factor, total).items():
            changed = {key for key, value in variant._asdict().items()
                       if value != getattr(released, key)}  # fmt: skip
            if name == "no contextual tokens":
                assert changed == {"contextual"} and variant.contextual == 0
                continue
            assert variant.dominant + variant.contextual == total
            split = {"dominant", "contextual"}
            if factor == "split, paper rule":
                assert changed == {*split, "merge"}
            elif factor != "released":
                assert changed == split or len(changed) == 1, (factor, name, changed)
            assert variant not in seen
            seen.add(variant)
    assert bool(choices(loaded, "CLS", total)) == (family == "clip")
    assert list(choices(loaded, "layer", total)) == ["layer 1", "layer 2", "layer 4"]
