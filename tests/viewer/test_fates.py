import numpy as np
import torch

from vzlib.models.inside import Entered
from vzlib.tokens.evidence import Reduced
from vzlib.viewer.asking import split
from vzlib.viewer.fates import of_entered, of_reduced


def reduced(places, sources):
    tokens = torch.zeros(1, len(places), 2)
    return Reduced(tokens, torch.tensor([places]), torch.tensor([sources]))


def test_kept_merged_and_left_out_patches_behind_a_cls_token():
    # CLS, and six patches: 0 and 3 stay, 1, 4 and 5 merge at patch 4, 2 is left out.
    fates = of_reduced(reduced([0, 1, 4, 5], [0, 1, 3, -1, 2, 3, 3]), True, layers=5)
    assert fates.cls
    np.testing.assert_array_equal(fates.token, [1, 3, -1, 2, 3, 3])
    np.testing.assert_array_equal(fates.stays, [True, False, False, True, False, False])
    np.testing.assert_array_equal(fates.group, [-1, 3, -1, -1, 3, 3])
    np.testing.assert_array_equal(fates.target, [False, False, False, False, True, False])
    assert split(fates) == "CLS, 2 patches as they are, 1 merged from 3, 1 left out"


def test_a_token_that_stands_nowhere_has_no_target():
    fates = of_reduced(reduced([0, -1], [0, 1, 1]), False, layers=5)
    assert not fates.cls and not fates.target.any()
    np.testing.assert_array_equal(fates.group, [-1, 1, 1])
    assert split(fates) == "1 patch as it is, 1 merged from 2"


def test_a_token_of_the_whole_image_is_told_beside_the_patches():
    fates = of_reduced(reduced([0, 2, -1], [0, -1, 1]), False, layers=5)
    assert fates.of_all == 1
    assert split(fates) == "2 patches as they are, 1 of the whole image, 1 left out"


def test_inside_the_language_model_a_patch_stays_if_it_enters_the_last_layer():
    every, some = torch.tensor([[0, 1, 2, 3]]), torch.tensor([[1, 3, -1]])
    fates = of_entered(Entered((every, every, some)), 4)
    np.testing.assert_array_equal(fates.layers, [2, 3, 2, 3])
    np.testing.assert_array_equal(fates.stays, [False, True, False, True])
