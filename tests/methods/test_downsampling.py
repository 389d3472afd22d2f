"""Downsampling: which grid a budget is, and that it is the tower that sees a smaller image."""

from functools import partial

import pytest
import torch
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from tests.methods.encodings import encoding, reduced
from vzlib.methods.before import Further
from vzlib.methods.downsampling import Downsampling
from vzlib.methods.registry import method
from vzlib.models.smaller import look_smaller
from vzlib.models.towers import encode
from vzlib.tokens import BudgetError

SIZES = {"hidden_size": 12, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 24,
         "patch_size": 4}  # fmt: skip
TOWERS = {
    "clip": lambda: CLIPVisionModel(CLIPVisionConfig(**SIZES, intermediate_size=16)),
    "siglip": lambda: SiglipVisionModel(SiglipVisionConfig(**SIZES, intermediate_size=16)),
    "dino": lambda: Dinov2Model(Dinov2Config(**SIZES, mlp_ratio=1)),
}


@pytest.mark.parametrize(
    ("retain", "grid"),
    [(1, (1, 1)), (2, (1, 2)), (32, (4, 8)), (64, (8, 8)), (128, (8, 16)), (160, (10, 16)),
     (192, (12, 16)), (288, (16, 18)), (320, (16, 20)), (576, (24, 24))],
)  # fmt: skip
def test_a_budget_is_the_grid_nearest_to_a_square(retain, grid):
    assert Downsampling().grid(retain, 24) == grid


@pytest.mark.parametrize(
    ("name", "retain", "nearest"),
    [
        ("downsampling", 7, r"6 \(2 x 3\) and 8 \(2 x 4\)"),
        ("downsampling", 575, r"552 \(23 x 24\) and 576 \(24 x 24\)"),
        ("downsampling", 577, r"576 \(24 x 24\)$"),
        ("downsampling", 0, r"1 \(1 x 1\)$"),
        ("downsampling(stretch=1)", 192, r"169 \(13 x 13\) and 196 \(14 x 14\)"),
        ("downsampling(stretch=1.5)", 128, r"121 \(11 x 11\) and 130 \(10 x 13\)"),
    ],
)
def test_what_is_no_grid_is_refused_with_the_nearest(name, retain, nearest):
    with pytest.raises(BudgetError, match=f"retain={retain} .*the nearest: .*{nearest}"):
        method(name).check(retain, 576)


def test_an_image_is_stretched_twice_at_most_unless_told_otherwise():
    assert Downsampling(stretch=4).grid(36, 24) == (6, 6)
    assert Downsampling(stretch=4).grid(44, 24) == (4, 11)
    with pytest.raises(BudgetError, match="at most 2 times"):
        Downsampling().grid(44, 24)
    with pytest.raises(ValueError, match=r"stretch=0\.5"):
        Downsampling(stretch=0.5)


def test_a_token_stands_in_the_middle_of_its_cell_and_every_patch_is_in_one():
    given = encoding(6)
    told = reduced("downsampling", given, 12, True)  # 3 rows of 4
    rows, columns = (told.places[0] - 1) // 6, (told.places[0] - 1) % 6
    assert rows.tolist() == [1] * 4 + [3] * 4 + [5] * 4
    assert columns.tolist() == [0, 2, 3, 5] * 3
    cells = told.sources[0, 1:].view(6, 6)
    assert cells[0].tolist() == [0, 0, 1, 2, 2, 3] and cells[2:4, 0].tolist() == [4, 4]
    assert told.sources[0, 0] == -1
    for side in range(2, 25):
        for grid in {Downsampling().grid(n, side) for n in (1, 2, side * side)}:
            count = grid[0] * grid[1]
            told = reduced("downsampling", encoding(side, batch=1), count, True)
            assert torch.equal(told.sources[0, told.places[0]], torch.arange(count))


@torch.no_grad()
@pytest.mark.parametrize("kind", TOWERS)
def test_the_tower_sees_a_smaller_image(kind):
    torch.manual_seed(0)
    tower, pixels = TOWERS[kind]().eval(), torch.randn(2, 3, 24, 24)
    first = int(kind != "siglip")
    everything = encode(tower, pixels)
    assert torch.equal(look_smaller(tower, (pixels,), (-2,), 6, 6), everything.hidden[:, first:])
    small = look_smaller(tower, (pixels,), (-2,), 2, 4)
    resized = torch.nn.functional.interpolate(pixels, (8, 16), mode="bicubic", antialias=True)
    options = {} if kind == "dino" else {"interpolate_pos_encoding": True}
    stock = tower(resized, output_hidden_states=True, **options).hidden_states[-2][:, first:]
    torch.testing.assert_close(small, stock, rtol=1e-5, atol=1e-6)
    further = Further(smaller=partial(look_smaller, tower, (pixels,), (-2,)))
    told = method("downsampling").reduce(everything, 8, has_cls=bool(first), further=further)
    assert torch.equal(told.tokens, small)


def test_it_must_be_given_the_tower():
    with pytest.raises(ValueError, match="downsampling must be given the tower, to look"):
        method("downsampling").reduce(encoding(), 9, has_cls=True)
