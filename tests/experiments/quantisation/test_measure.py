"""A tiny model at two precisions: stored apart, told from the store, refused before it loads."""

import pandas as pd
import pytest

from vzlib.experiments.quantisation import measure, measure_bytes, measure_speed, precisions
from vzlib.models import quantisation
from vzlib.models.checkpoint import identity
from vzlib.notebooks import settings
from vzlib.parameters import ParameterError

NOTEBOOK = "11_quantisation"


@pytest.fixture
def chosen(scene_folder):
    return settings(NOTEBOOK, model=scene_folder, each=2, precisions=["float32", "int8"])


def test_precisions_are_measured_apart_and_come_from_the_store(chosen, own_store, never_loads):
    rows, counted = measure.measure(chosen), measure_bytes.measure(chosen)
    ways = rows.groupby(["precision", "method"])["question"].agg(tuple)
    assert len(ways) == 4 and ways.nunique() == 1
    assert rows.groupby("method")["at_input"].unique().explode().to_dict() == {
        "vanilla": 576, "visionzip": 64
    }  # fmt: skip
    size = counted.set_index(["precision", "method", "part"])["bytes"]
    assert size["int8", "vanilla", "tower"] < 0.6 * size["float32", "vanilla", "tower"]
    cache = size.xs("KV cache", level="part")
    assert cache["float32", "vanilla"] / cache["float32", "visionzip"] == (576 + 16) / (64 + 16)
    times = measure_speed.measure(chosen, rounds=2)
    assert times.groupby(["precision", "method", "stage"]).size().eq(2).all()
    assert set(times["stage"]) == {"tower", "language model"}
    never_loads()
    pd.testing.assert_frame_equal(rows, measure.measure(chosen))


def test_dtype_and_quantisation_are_part_of_the_identity(scene_folder):
    names = [identity(precisions.checkpoint_at(scene_folder, one)) for one in precisions.BITS]
    assert len(set(names)) == len(names) == 6
    assert names[0].endswith("float32 cpu") and names[4].endswith("float32 cpu nf4")


def test_what_cannot_run_is_refused_before_a_model_is_loaded(
    chosen, own_store, never_loads, monkeypatch
):
    never_loads()
    monkeypatch.setattr(quantisation.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs bitsandbytes"):
        measure.measure(chosen)
    with pytest.raises(ValueError, match="retain=576 must be below the 576 patches"):
        measure.measure(chosen.model_copy(update={"retain": 576}))


@pytest.mark.parametrize(
    "wrong",
    [{"methods": ["fastv"]}, {"precisions": ["nf4", "nf4"]}, {"precisions": ["int3", "nf4"]}],
)
def test_settings_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        settings(NOTEBOOK, **wrong)
