"""Reductions before the language model, on plain tensors."""

import pytest
import torch

from vzlib.baselines import METHODS, method
from vzlib.baselines.before_llm import even_grid
from vzlib.models.towers import Encoded
from vzlib.tokens import BudgetError

PATCHES = 24 * 24


def encoded(has_cls: bool) -> Encoded:
    generator = torch.Generator().manual_seed(0)
    count = PATCHES + has_cls
    hidden = torch.arange(2 * count * 3, dtype=torch.float32).view(2, count, 3)
    scores = torch.rand(2, count, generator=generator)
    return Encoded(hidden, scores, torch.randn(2, count, 8, generator=generator))


@pytest.mark.parametrize("name", [name for name in METHODS if name != "vanilla"])
@pytest.mark.parametrize("has_cls", [True, False])
@pytest.mark.parametrize("retain", [1, 7, 64, 128, 192, 575])
def test_every_method_spends_exactly_its_budget(name, has_cls, retain):
    given = encoded(has_cls)
    tokens = method(name)(given, retain, has_cls=has_cls, seed=3)
    assert tokens.shape == (2, retain, 3)
    assert torch.equal(tokens, method(name)(given, retain, has_cls=has_cls, seed=3))


@pytest.mark.parametrize("name", ["random", "uniform", "vanilla"])
@pytest.mark.parametrize("has_cls", [True, False])
def test_controls_never_give_the_cls_token_and_keep_raster_order(name, has_cls):
    retain = PATCHES if name == "vanilla" else 64
    given = encoded(has_cls)
    tokens = method(name)(given, retain, has_cls=has_cls, seed=1)
    index = [torch.where((given.hidden[0] == t).all(1))[0].item() for t in tokens[0]]
    assert index == sorted(set(index)) and min(index) >= has_cls


def test_random_depends_on_the_seed_and_differs_between_images():
    given = encoded(True)
    one, other = (METHODS["random"](given, 64, has_cls=True, seed=s) for s in (0, 1))
    assert not torch.equal(one, other)
    offset = given.hidden[1, 0, 0]
    assert not torch.equal(one[1] - offset, one[0])


@pytest.mark.parametrize("retain", range(1, PATCHES + 1, 23))
def test_the_grid_is_even(retain):
    index = even_grid(PATCHES, retain)
    assert len(index.unique()) == retain and index.min() >= 0 and index.max() < PATCHES
    if retain >= 36:  # no quarter of the image has far more than its share
        quarter = (index // 24 // 12) * 2 + index % 24 // 12
        assert (torch.bincount(quarter, minlength=4) / retain - 0.25).abs().max() < 0.08


def test_grid_of_64_is_eight_by_eight():
    index = even_grid(PATCHES, 64)
    assert len((index // 24).unique()) == len((index % 24).unique()) == 8


def test_refusals_name_the_value():
    with pytest.raises(ValueError, match=r"'visonzip'.*did you mean 'visionzip'"):
        method("visonzip")
    with pytest.raises(BudgetError, match="577"):
        METHODS["random"](encoded(True), 577, has_cls=True, seed=0)
    with pytest.raises(BudgetError, match="64"):
        METHODS["vanilla"](encoded(True), 64, has_cls=True, seed=0)
