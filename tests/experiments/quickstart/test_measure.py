import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vzlib.experiments.quickstart import measure
from vzlib.models.load import loaded
from vzlib.notebooks import settings


@pytest.fixture(scope="module")
def measured(scene_folder):
    return measure._measure(scene_folder, settings("00_quickstart", retain=64))


def test_counts_the_visual_tokens_in_the_prompt(measured):
    answers, _ = measured
    assert set(answers["zipped_positions"]) == {64}
    assert set(answers["vanilla_positions"]) == {576}
    assert answers["image"].to_list() == ["scene"] * (len(answers) - 1) + ["photograph"]


def test_every_patch_is_kept_or_in_one_group(measured):
    _, tokens = measured
    for _, own in tokens.groupby("image"):
        assert len(own) == 576
        assert own["dominant"].sum() == 53  # and CLS
        assert own["target"].sum() == 10
        assert ((own["group"] < 0) == own["dominant"]).all()
        assert own.loc[own["target"], "group"].to_list() == list(range(10))
        least, most = own.loc[own["dominant"], "received"].min(), own["received"].max()
        assert own.loc[~own["dominant"], "received"].max() <= least <= most


def test_leaves_the_model_stock(measured, scene_folder):
    core = loaded(scene_folder).model.base_model
    assert not {"get_image_features", "get_placeholder_mask"} & set(vars(core))


def test_takes_an_image_file(tmp_path):
    Image.new("RGB", (60, 40), "red").save(tmp_path / "red.png")
    images = measure.images(settings("00_quickstart", photograph=str(tmp_path / "red.png")))
    assert images["photograph"].shape == (40, 40, 3)
    np.testing.assert_array_equal(images["photograph"][0, 0], [255, 0, 0])


def test_names_the_photographs_there_are():
    with pytest.raises(ValueError, match=r"rockt.*camera, flower, ihc, rocket"):
        measure.images(settings("00_quickstart", photograph="rockt"))


def test_asks_once(scene_folder, own_store, never_loads):
    chosen = settings("00_quickstart", model=scene_folder, retain=32)
    first = measure.measure(chosen)
    never_loads()
    for one, other in zip(first, measure.measure(chosen), strict=True):
        pd.testing.assert_frame_equal(one, other)
