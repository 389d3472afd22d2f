from functools import partial

import numpy as np
import torch

from vzlib.efficiency.parts import PARTS
from vzlib.tokens.evidence import Reduced
from vzlib.viewer import draw
from vzlib.viewer.asking import Answered
from vzlib.viewer.fates import of_reduced

GRID, SIDE = 4, 160
IMAGE = np.full((64, 64, 3), (200, 40, 40), np.uint8)


def fates():
    """Patch 0 stays, 5 and 6 merge at 6, all others are left out."""
    sources = torch.full((1, 16), -1)
    sources[0, [0, 5, 6]] = torch.tensor([0, 1, 1])
    return of_reduced(Reduced(torch.zeros(1, 2, 1), torch.tensor([[0, 6]]), sources), False, 2)


def middle(panel, patch):
    """The colour in the middle of a patch, 0 to 1."""
    row, column = divmod(patch, GRID)
    step = SIDE // GRID
    return panel[row * step + step // 2, column * step + step // 2] / 255


def test_a_kept_patch_shows_the_image_a_merged_one_a_colour_one_left_out_is_pale():
    panel = draw.panel(partial(draw.kept, IMAGE, fates(), GRID), SIDE)
    assert panel.shape == (SIDE, SIDE, 3)
    np.testing.assert_allclose(middle(panel, 0), IMAGE[0, 0] / 255, atol=0.02)
    np.testing.assert_array_equal(middle(panel, 5), middle(panel, 6))
    assert np.ptp(middle(panel, 5)) > 0.2  # a colour
    assert middle(panel, 15).min() > 0.7 and np.ptp(middle(panel, 15)) < 0.02


def test_a_click_lights_what_went_the_same_way():
    plain = draw.panel(partial(draw.kept, IMAGE, fates(), GRID), SIDE)
    outlined = draw.panel(partial(draw.together, IMAGE, fates(), GRID, 5), SIDE)
    rows, columns = np.nonzero((plain != outlined).any(-1))
    assert rows.min() >= 36 and rows.max() <= 84  # the second row of patches
    assert columns.min() >= 36 and columns.max() <= 124  # its two middle ones


def test_picked_patches_are_bright_and_others_dark():
    panel = draw.panel(partial(draw.picked, IMAGE, [3], GRID), SIDE)
    np.testing.assert_allclose(middle(panel, 3), IMAGE[0, 0] / 255, atol=0.02)
    assert middle(panel, 12).max() < 0.5


def test_attention_is_bright_where_most_lies_and_its_patch_has_a_frame():
    weights = np.zeros((GRID, GRID))
    weights[2, 1] = 1
    plain = draw.panel(partial(draw.attention, IMAGE, weights), SIDE)
    assert middle(plain, 9).sum() > middle(plain, 0).sum() + 0.5
    framed = draw.panel(partial(draw.outgoing, IMAGE, weights, 3), SIDE)
    rows, columns = np.nonzero((plain != framed).any(-1))
    assert rows.max() <= 42 and columns.min() >= 117


def test_the_pdf_is_the_same_bytes_for_the_same_picture():
    times = dict.fromkeys(PARTS, 1.0)
    answers = [
        Answered("all tokens", "yes", 16, 16.0, times),
        Answered("VisionZip (code)", "no", 2, 2.0, times, fates()),
    ]
    drawn = partial(
        draw.figure, IMAGE, GRID, "is it $red ?", ("attention", np.ones((GRID, GRID))), answers
    )
    figure = drawn()
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "all tokens", "attention", "VisionZip (code), 2 tokens"]  # fmt: skip
    assert [axes.get_xlabel() for axes in figure.axes] == ["yes", "", "no"]
    content = draw.pdf(drawn)
    assert content.startswith(b"%PDF") and content == draw.pdf(drawn)
