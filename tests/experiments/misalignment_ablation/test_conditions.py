"""What is offered under each condition, and schedules that all end alike."""

import numpy as np
import pytest
import torch

from vzlib.experiments.misalignment_ablation.conditions import inside, offer
from vzlib.methods.inside.schedule import Shape, visual_by_layer
from vzlib.methods.registry import method
from vzlib.methods.sparsevlm import SparseVLM
from vzlib.tokens.evidence import Encoded

PICO = Shape(6, 576)
SIZES = {"removed": 50, "offered": 128, "kept": 64}


def encoded(batch=2, tokens=577, seed=0):
    generator = torch.Generator().manual_seed(seed)
    hidden, keys = (torch.randn(batch, tokens, 8, generator=generator) for _ in range(2))
    return Encoded(hidden, torch.rand(batch, tokens, generator=generator), keys)


def offered(condition, image, cls=True, seed=0):
    """What a condition makes of 576 patches."""
    reduction, retain = offer(condition, patches=576, **SIZES)
    return reduction.reduce(image, retain, has_cls=cls, seed=seed)


@pytest.mark.parametrize(
    ("condition", "count"),
    [("baseline", 576), ("ex1", 526), ("ex1 random", 526), ("ex2", 128), ("ex2 random", 128)],
)
def test_what_is_offered_are_the_patches_it_says(condition, count):
    image = encoded()
    tokens, places, _ = offered(condition, image)
    assert places.shape == (2, count) and (places.diff(dim=1) > 0).all() and places.min() > 0
    for row in range(2):
        assert torch.equal(tokens[row], image.hidden[row, places[row]])


def test_ex1_offers_all_but_the_most_attended_and_ex2_nothing_but_them():
    image = encoded(1)
    ranked = image.scores[0, 1:].argsort(descending=True).tolist()
    for condition, expected in (("ex1", ranked[50:]), ("ex2", ranked[:128])):
        assert (offered(condition, image).places[0] - 1).tolist() == sorted(expected)


def test_random_patches_follow_the_seed_and_differ_between_images():
    drawn = [
        offered("ex2 random", encoded(tokens=576), cls=False, seed=seed).places
        for seed in (0, 0, 1)
    ]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0][0], drawn[0][1])


@pytest.mark.parametrize(("condition", "count"), [("ex2 zipped", 128), ("visionzip", 64)])
def test_tokens_of_visionzip_are_those_of_the_registered_method(condition, count):
    image = encoded()
    tokens, places, _ = offered(condition, image)
    expected = method("visionzip").reduce(image, count, has_cls=True, seed=0).tokens
    assert torch.equal(tokens, expected)
    assert (places[:, 0] == 0).all() and (places[:, 1:] > 0).all()
    own = torch.stack([image.hidden[row, places[row]] for row in range(2)])
    dominant = round(count * 54 / 64)
    assert torch.equal(tokens[:, :dominant], own[:, :dominant])


@pytest.mark.parametrize("selector", ["sparsevlm", "fastv"])
@pytest.mark.parametrize("whole", [PICO, Shape(32, 576), Shape(5, 144)])
def test_every_condition_ends_alike_and_prunes_at_the_same_layers(selector, whole):
    kept = whole.visual // 9
    schedules = {}
    for offered in (whole.visual, whole.visual * 526 // 576, 2 * kept):
        stages = inside(selector, kept, offered, whole).stages(whole.layers, offered)
        assert visual_by_layer(stages, whole.layers, offered)[-1] == kept
        schedules[offered] = [stage.layer for stage in stages]
        for stage, first in zip(stages[:-1], schedules.setdefault("keep", stages), strict=False):
            assert stage.keep == min(first.keep, offered)
    del schedules["keep"]
    assert len(set(map(tuple, schedules.values()))) == 1


def test_eighteen_at_the_end_is_about_the_released_list_named_64():
    keep = inside("sparsevlm", 18, 576, Shape(32, 576)).keep
    assert np.allclose(keep, SparseVLM.released(64).keep, rtol=0.04)
