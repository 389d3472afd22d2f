import pandas as pd
import pytest
import torch

from vzlib.experiments.feature_misalignment import measure_points
from vzlib.experiments.feature_misalignment.measure_points import POINTS, Point, patch_of
from vzlib.models.load import loaded
from vzlib.models.towers import attention_rows
from vzlib.notebooks import settings


def test_points_fall_into_the_patch_that_shows_them():
    assert patch_of(Point("camera", "test", "corner", 0, 511), 24) == (23, 0)
    assert patch_of(Point("rocket", "test", "left edge of the square", 106, 0), 24) == (0, 0)
    assert all(patch_of(point, 24) for point in POINTS)
    with pytest.raises(ValueError, match="central square"):
        patch_of(Point("rocket", "test", "left of the square", 105, 0), 24)


def test_maps_are_rows_of_the_tower_and_stored(scene_folder, own_store, never_loads):
    chosen = settings("04_feature_misalignment", model=scene_folder, scenes=2)
    maps = measure_points.measure(chosen)
    point = POINTS[1]
    own = maps[maps["photograph"] == point.photograph]
    row, column = patch_of(point, 24)
    picture = measure_points.photographs()[point.photograph]
    model = loaded(scene_folder)
    with torch.no_grad():
        expected = attention_rows(
            model.tower, model.pixels([picture]), queries=[1 + row * 24 + column]
        )[0, 0]
    assert own["attention"].to_numpy() == pytest.approx(expected[1:].numpy(), rel=1e-4)
    assert own["dominant"].sum() == 53
    never_loads()
    wider = chosen.model_copy(update={"radius": 5.0})
    pd.testing.assert_frame_equal(maps, measure_points.measure(wider))
