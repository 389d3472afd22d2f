"""Answers at every step, and what is kept of images."""

import numpy as np
import pandas as pd
import pytest
import torch

from vzlib.evaluation.accuracy import answers
from vzlib.experiments.adaptive_budget import measure, measure_images, tell
from vzlib.models import load
from vzlib.notebooks import settings
from vzlib.parameters import ParameterError
from vzlib.tokens import BudgetError


def chosen(folder, **changes):
    small = {"model": folder, "each": 3, "ladder": [8, 16, 24], "budgets": [12]}
    return settings("14_adaptive_budget", **small | changes)


def test_every_step_is_answered_and_images_are_those_asked_about(
    tiny_folder, own_store, never_loads
):
    one = chosen(tiny_folder())
    rows, images = measure.measure(one), measure_images.measure(one)
    assert rows.groupby("tokens").size().to_dict() == {8: 15, 16: 15, 24: 15}
    assert (rows["at_input"] == rows["tokens"]).all()
    expected = answers(load.loaded(tiny_folder()), [("visionzip", 16)], each=3, progress=False)
    own = rows[rows["tokens"] == 16]
    assert own["score"].tolist() == expected["score"].tolist()
    assert set(images["image"]) == set(rows["image"])
    assert (images.groupby("image")["weight"].sum() - 1).abs().max() < 1e-6
    assert (images.groupby("image")["weight"].diff().dropna() <= 0).all()
    assert images["things"].between(1, 9).all() and (images.groupby("image").size() == 36).all()
    given = tell.told(rows, images)
    assert given.asked.scores.shape == (15, 3) and given.images.curves.shape[1] == 36
    never_loads()
    pd.testing.assert_frame_equal(measure.measure(one), rows)
    pd.testing.assert_frame_equal(measure_images.measure(one), images)


def test_effective_rank_is_known_of_lines_and_of_even_spreads():
    generator = torch.Generator().manual_seed(0)
    line = torch.randn(500, 1, generator=generator) @ torch.randn(1, 8, generator=generator)
    even = torch.cat([torch.eye(8), -torch.eye(8)]).repeat(31, 1)[:496]
    ranks = measure_images.effective_rank(torch.stack([line[:496], even]) + 3)
    np.testing.assert_allclose(ranks, [1, 8], rtol=1e-3)


def test_what_does_not_fit_is_said_before_a_model_is_loaded(tiny_folder, own_store, never_loads):
    folder = tiny_folder()
    never_loads()
    with pytest.raises(ValueError, match=r"step 64 of the ladder is above 36"):
        measure.measure(chosen(folder, ladder=[8, 16, 64]))
    with pytest.raises(BudgetError, match="7"):
        measure.measure(chosen(folder, method="downsampling", ladder=[7, 16, 24]))
    for changes, said in (
        ({"ladder": [8, 24, 16]}, r"ladder=\[8, 24, 16\] must ascend"),
        ({"budgets": [12, 24]}, r"budgets \[24\] must lie between the ends of the ladder, 8 and"),
        ({"method": "random"}, "random draws its tokens"),
        ({"method": "divprun"}, "did you mean divprune"),
    ):
        with pytest.raises(ParameterError, match=said):
            chosen(folder, **changes)
