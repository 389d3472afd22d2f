"""Notebook 08: its plan, and what it stores by device."""

from functools import partial

import pandas as pd
import pytest

from tests.experiments.efficiency.made_up import STAGES
from vzlib import results
from vzlib.efficiency import device, geometry, pipeline
from vzlib.experiments.efficiency import measure, tell
from vzlib.notebooks import settings

NOTEBOOK = "08_efficiency"


@pytest.fixture
def small(monkeypatch):
    """The small geometry made smaller still; in bfloat16 its tower's peak would be the highest."""
    block = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2}
    eye = {**block, "num_hidden_layers": 2, "image_size": 336, "patch_size": 14}
    text = {**block, "num_hidden_layers": 8}
    monkeypatch.setitem(geometry.LLAVAS, "llava-small", geometry.Geometry(eye, text, views=5))
    return settings(
        NOTEBOOK,
        larger=None, methods=("visionzip", "fastv"), budgets=(1280, 160), repetitions=4,
        new_tokens=2, before=2, after=3, dtype="float32",
    )  # fmt: skip


def test_the_plan_names_what_each_variant_really_spends():
    arms = measure.plan(settings(NOTEBOOK))
    spent = {arm.name: (arm.at_input, arm.average) for arm in arms}
    assert spent["llava-small vanilla 2880"] == (2880, 2880)
    assert spent["llava-small visionzip 160"] == (160, 160)
    assert spent["llava-small fastv 640"] == (2880, pytest.approx(640, abs=1))
    assert spent["llava-small fastv 320"] == (2880, pytest.approx(481, abs=1))  # its lowest
    assert "llava-small fastv 160" not in spent  # would be the same once more
    assert "llava-small visionzip-usual 640" not in spent
    assert {arm.method for arm in arms if arm.geometry == "llava-small-2x"} == {
        "vanilla",
        "visionzip",
    }


@pytest.mark.parametrize("budget", [161, 5, 2880])
def test_budgets_that_five_views_cannot_share_are_refused(budget):
    with pytest.raises(ValueError, match=f"budgets {budget} of llava-small: give multiples of 5"):
        measure.plan(settings(NOTEBOOK, budgets=(640, budget)))


def test_compiled_prefills_stand_beside_their_eager_ones(own_store, small, monkeypatch):
    monkeypatch.setattr(pipeline, "compiled", partial(pipeline.compiled, backend="eager"))
    shape = geometry.LLAVAS["llava-small"]
    short = shape._replace(text={**shape.text, "num_hidden_layers": 2})  # traced the sooner
    monkeypatch.setitem(geometry.LLAVAS, "llava-small", short)
    chosen = small.model_copy(
        update={"compiled": True, "methods": ("visionzip",), "budgets": (160,)}
    )
    costs = measure.costs(chosen).set_index(["method", "budget"])
    for method, budget in (("vanilla", 2880), ("visionzip", 160)):
        eager, own = costs.loc[(method, budget)], costs.loc[(f"{method}-compiled", budget)]
        assert own["flops_prefill"] == eager["flops_prefill"]
        assert own["memory"] > 0


def test_the_two_geometries_must_differ():
    with pytest.raises(ValueError, match="must differ from geometry"):
        settings(NOTEBOOK, larger="llava-small")


def test_what_is_measured_is_stored_and_read_by_the_name_of_its_device(
    own_store, small, monkeypatch
):
    times, costs = measure.measure(small), measure.costs(small)
    here = device.describe(device.choose("cpu"))
    assert set(times["device"]) == {here}
    assert times.groupby("variant")["round"].nunique().eq(4).all()
    assert set(times["stage"]) == set(STAGES)
    assert (times["seconds"] > 0).all()

    monkeypatch.setenv("VZLIB_STORE_ONLY", "1")
    named = small.model_copy(update={"device": here})
    pd.testing.assert_frame_equal(measure.measure(named), times)
    with pytest.raises(results.MissingResult):
        measure.measure(small.model_copy(update={"device": "NVIDIA A800"}))
    monkeypatch.delenv("VZLIB_STORE_ONLY")
    with pytest.raises(ValueError, match="no stored results of device 'NVIDIA A800'; here are"):
        measure.measure(small.model_copy(update={"device": "NVIDIA A800"}))

    # Noise counts for nothing here, so that busy machines do not fail the test.
    table = tell.table(times, costs, small.model_copy(update={"limit": 1e9}))
    by_name = table.set_index(["method", "budget"])
    full, zipped = by_name.loc[("vanilla", 2880)], by_name.loc[("visionzip", 160)]
    assert full["prefill_speedup"] == full["flops_ratio"] == 1
    assert zipped["flops"] < zipped["flops"] * zipped["flops_ratio"] == pytest.approx(full["flops"])
    assert zipped["memory"] < full["memory"] and zipped["weights"] == full["weights"]
    assert full["total"] > full["first token"] > full["prefill"] > 0
