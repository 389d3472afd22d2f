"""Vanilla, random and uniform."""

import pytest
import torch

from tests.methods.encodings import encoding, rows_of
from vzlib.methods.grid import columns_by_row
from vzlib.methods.pooling import cells
from vzlib.methods.registry import method
from vzlib.methods.uniform import even_grid
from vzlib.tokens import BudgetError

PATCHES = 24 * 24


def test_random_depends_on_the_seed_and_differs_between_images():
    given = encoding(24)
    one, other = (method("random").reduce(given, 64, has_cls=True, seed=s).tokens for s in (0, 1))
    assert not torch.equal(one, other)
    assert rows_of(one[0], given.hidden[0]) != rows_of(one[1], given.hidden[1])


def test_random_takes_every_patch_equally_often_and_leaves_the_global_generator_alone():
    given = encoding(4, has_cls=False, batch=1)
    state = torch.random.get_rng_state()
    taken = torch.zeros(16)
    for seed in range(800):
        tokens = method("random").reduce(given, 4, has_cls=False, seed=seed).tokens
        taken[rows_of(tokens[0], given.hidden[0])] += 1
    assert (taken / 800 - 4 / 16).abs().max() < 0.07
    assert torch.equal(state, torch.random.get_rng_state())


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


def test_uniform_wants_a_square_image_and_vanilla_all_patches():
    given = encoding(6)
    oblong = type(given)(*(part[:, :31] for part in given))
    with pytest.raises(ValueError, match="30 patches"):
        method("uniform").reduce(oblong, 10, has_cls=True, seed=0)
    with pytest.raises(BudgetError, match="all 36 patches, not 10"):
        method("vanilla").reduce(given, 10, has_cls=True, seed=0)


@pytest.mark.parametrize("shape", [(1, 7), (5, 12), (12, 5), (40, 3), (24, 24)])
def test_an_even_grid_over_an_image_of_any_shape_has_every_number_of_places(shape):
    high, wide = shape
    for retain in range(1, high * wide + 1):
        counts = columns_by_row(shape, retain)
        assert sum(counts) == retain and len(counts) <= high
        assert 1 <= min(counts) <= max(counts) <= wide
        index = even_grid(high * wide, retain, shape)
        assert len(index.unique()) == retain and index.max() < high * wide
        if retain < 20 or retain == high * wide:
            weights, middles = cells(high * wide, retain, shape)
            assert len(middles.unique()) == retain
            torch.testing.assert_close(weights.sum(1), torch.ones(retain))
    # As far apart down as across: 2 rows of 4 or 5 on 5 x 12.
    assert columns_by_row((5, 12), 9) == [4, 5]
