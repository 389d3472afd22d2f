"""What is known of things asked about, on scenes made by hand and on those of the decks."""

import numpy as np
import pandas as pd
import pytest

from vzlib import scenes
from vzlib.evaluation.accuracy import answers
from vzlib.experiments.what_is_lost import measure, measure_things
from vzlib.experiments.what_is_lost.asked_things import kept_share, properties
from vzlib.models import load
from vzlib.notebooks import settings
from vzlib.scenes.scene import Scene, SceneObject


def scene(*boxes, colour=255, side=192):
    """White boxes (left, top, width, height) on black."""
    image = np.zeros((side, side, 3), dtype=np.uint8)
    things = []
    for left, top, width, height in boxes:
        image[top : top + height, left : left + width] = colour
        things.append(SceneObject("number", "7", left, top, width, height))
    return Scene(0, "test", 0, image, tuple(things))


def test_properties_of_boxes_are_known():
    one = properties(scene((80, 80, 32, 32)), (0,))
    assert one == pytest.approx((16, 0, 0, 100), abs=0.1)
    edge = properties(scene((176, 88, 16, 16), (0, 0, 8, 8), colour=119), (0,))
    assert edge.size == pytest.approx(4) and edge.others == 1
    assert edge.eccentricity == pytest.approx(88 / 96)
    assert edge.contrast == pytest.approx(50, abs=0.5)  # L* of 119 is 50
    both = properties(scene((176, 88, 16, 16), (80, 80, 32, 32)), (0, 1))
    assert both.size == pytest.approx(8) and both.others == 0
    assert both.eccentricity == pytest.approx(88 / 96 / 2)


def test_another_thing_beside_it_is_not_what_is_around_it():
    alone = properties(scene((80, 80, 16, 16)), (0,))
    beside = properties(scene((80, 80, 16, 16), (98, 80, 16, 16)), (0,))
    assert alone.contrast == pytest.approx(beside.contrast, abs=1e-3)


def test_kept_is_the_share_of_patches_on_which_tokens_stand():
    one = scene((0, 0, 16, 16), (96, 96, 8, 8))
    assert kept_share(one, (0,), np.array([0, 1, 24, 25, 100]), 576) == 1
    assert kept_share(one, (0,), np.array([-1, 1, 24]), 576) == 0.5
    assert kept_share(one, (0, 1), np.array([0, 1, 24, 25]), 576) == 0.5
    assert np.isnan(kept_share(None, (0,), np.array([1]), 576))
    assert np.isnan(kept_share(one, (), np.array([1]), 576))


def chosen(folder, **changes):
    small = {"model": folder, "each": 3, "methods": ["visionzip", "random"], "budgets": [64]}
    return settings("16_what_is_lost", **small | changes)


def test_answers_are_those_of_the_methods_and_things_are_those_asked_about(
    scene_folder, own_store, never_loads
):
    one = chosen(scene_folder)
    rows, things = measure.measure(one), measure_things.measure(one)
    assert rows.groupby(["method", "budget"], sort=False).size().to_dict() == {
        ("vanilla", 576): 15, ("visionzip", 64): 15, ("random", 64): 15,
    }  # fmt: skip
    expected = answers(load.loaded(scene_folder), [("random", 64)], each=3, progress=False)
    own = rows[rows["method"] == "random"]
    assert own["score"].tolist() == expected["score"].tolist()
    assert (rows.loc[rows["method"] == "vanilla", "kept"].dropna() == 1).all()
    assert rows["kept"].between(0, 1).sum() == rows["kept"].notna().sum()
    about_nothing = set(rows.loc[rows["kept"].isna(), "answer"])
    assert about_nothing <= {"no", "0"}
    asked = scenes.ask(scenes.make(0))
    told = things[things["image"] == "scene 0"]
    assert len(told) <= sum(bool(question.objects) for question in asked)
    assert things["size"].between(0.5, 60).all() and things["others"].between(0, 8).all()
    never_loads()
    pd.testing.assert_frame_equal(measure.measure(one), rows)


def test_what_does_not_fit_is_said_before_a_model_is_loaded(tiny_folder, own_store, never_loads):
    folder = tiny_folder()
    never_loads()
    with pytest.raises(ValueError, match=r"budget 64 must be below 36, the patches that"):
        measure.measure(chosen(folder))
    with pytest.raises(ValueError, match=r"method fastv: unknown"):
        chosen(folder, methods=["fastv"])
    with pytest.raises(ValueError, match=r"vanilla cannot be compared at a budget"):
        chosen(folder, methods=["vanilla"])
