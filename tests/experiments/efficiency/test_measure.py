"""Notebook 08: its plan, what it stores by device, its tables and its verdicts on made-up times."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from vzlib import results
from vzlib.efficiency import device, geometry, pipeline
from vzlib.experiments.efficiency import measure as efficiency
from vzlib.experiments.efficiency import tell as efficiency_table
from vzlib.experiments.efficiency import verdicts as efficiency_verdicts
from vzlib.experiments.efficiency.settings import Efficiency

ROUNDS = 8
STAGES = ("tower", "select + merge", "projector", "prefill", "decode")
# Seconds of the prefill and of the whole rest, and MB at the peak, by geometry, method and budget.
MADE_UP = {
    ("llava-small", "vanilla", 2880): (1.0, 0.20, 100),
    ("llava-small", "visionzip", 640): (0.2, 0.15, 40),
    ("llava-small", "visionzip", 160): (0.1, 0.10, 30),
    ("llava-small", "fastv", 640): (0.5, 0.20, 120),
    ("llava-small", "sparsevlm", 640): (0.6, 0.20, 90),
    ("llava-small-2x", "vanilla", 2880): (2.0, 0.30, 200),
    ("llava-small-2x", "visionzip", 640): (0.5, 0.20, 80),
    ("llava-small-2x", "visionzip", 320): (0.3, 0.20, 60),
}


def made_up(noise=0.02, **changes):
    """Times and costs as `measure` and `costs` give them."""
    random = np.random.default_rng(0)
    times, costs = [], []
    for (model, method, budget), told in MADE_UP.items():
        prefill, rest, memory = changes.get(f"{method}_{budget}", told)
        name = f"{model} {method} {budget}"
        spent = (model, method, budget, 2880, float(budget))
        for turn in range(ROUNDS):
            for stage in STAGES:
                seconds = prefill if stage == "prefill" else rest / 4
                seconds *= random.normal(1, noise)
                times += [("cpu", *spent, name, turn, stage, seconds, flag) for flag in (0, 1)]
        flops = 1e9 * budget
        costs.append(("cpu", *spent, name, "", 60, flops, flops, memory * 1e6, 50e6))
    common = ["device", "geometry", "method", "budget", "at_input", "average", "variant"]
    rows = pd.DataFrame(times, columns=[*common, "round", "stage", "seconds", "apart"])
    more = ["schedule", "text", "formula", "flops_prefill", "memory", "weights"]
    return rows.astype({"apart": bool}), pd.DataFrame(costs, columns=[*common, *more])


def outcome(**changes):
    table = efficiency_verdicts.verdicts(*made_up(**changes), Efficiency())
    return table.set_index("claim")["verdict"].to_dict()


@pytest.fixture
def own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_RESULTS", str(tmp_path / "results"))
    monkeypatch.delenv("VZLIB_STORE_ONLY", raising=False)


@pytest.fixture
def small(monkeypatch):
    """The small geometry made smaller still."""
    block = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2}
    eye = {**block, "num_hidden_layers": 2, "image_size": 336, "patch_size": 14}
    text = {**block, "num_hidden_layers": 8}
    monkeypatch.setitem(geometry.LLAVAS, "llava-small", geometry.Geometry(eye, text, views=5))
    return Efficiency(
        larger=None, methods=("visionzip", "fastv"), budgets=(1280, 160), repetitions=4,
        new_tokens=2, before=2, after=3,
    )  # fmt: skip


def test_the_plan_names_what_each_variant_really_spends():
    arms = efficiency.plan(Efficiency())
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
        efficiency.plan(Efficiency(budgets=(640, budget)))


def test_compiled_prefills_stand_beside_their_eager_ones(own_store, small, monkeypatch):
    monkeypatch.setattr(pipeline, "compiled", partial(pipeline.compiled, backend="eager"))
    settings = small.model_copy(
        update={"compiled": True, "methods": ("visionzip",), "budgets": (160,)}
    )
    costs = efficiency.costs(settings).set_index(["method", "budget"])
    for method, budget in (("vanilla", 2880), ("visionzip", 160)):
        eager, own = costs.loc[(method, budget)], costs.loc[(f"{method}-compiled", budget)]
        assert own["flops_prefill"] == eager["flops_prefill"]
        assert own["memory"] > 0


def test_the_two_geometries_must_differ():
    with pytest.raises(ValueError, match="must differ from geometry"):
        Efficiency(larger="llava-small")


def test_what_is_measured_is_stored_and_read_by_the_name_of_its_device(
    own_store, small, monkeypatch
):
    times, costs = efficiency.measure(small), efficiency.costs(small)
    here = device.describe(device.choose("cpu"))
    assert set(times["device"]) == {here}
    assert times.groupby("variant")["round"].nunique().eq(4).all()
    assert set(times["stage"]) == set(STAGES)
    assert (times["seconds"] > 0).all()

    monkeypatch.setenv("VZLIB_STORE_ONLY", "1")
    named = small.model_copy(update={"device": here})
    pd.testing.assert_frame_equal(efficiency.measure(named), times)
    with pytest.raises(results.MissingResult):
        efficiency.measure(small.model_copy(update={"device": "NVIDIA A800"}))
    monkeypatch.delenv("VZLIB_STORE_ONLY")
    with pytest.raises(ValueError, match="no stored results of device 'NVIDIA A800'; here are"):
        efficiency.measure(small.model_copy(update={"device": "NVIDIA A800"}))

    # Noise counts for nothing here, so that busy machines do not fail the test.
    table = efficiency_table.table(times, costs, small.model_copy(update={"limit": 1e9}))
    by_name = table.set_index(["method", "budget"])
    full, zipped = by_name.loc[("vanilla", 2880)], by_name.loc[("visionzip", 160)]
    assert full["prefill_speedup"] == full["flops_ratio"] == 1
    assert zipped["flops"] < zipped["flops"] * zipped["flops_ratio"] == pytest.approx(full["flops"])
    assert zipped["memory"] < full["memory"] and zipped["weights"] == full["weights"]
    assert full["total"] > full["first token"] > full["prefill"] > 0


def test_the_table_has_medians_speed_ups_and_what_the_flops_allow():
    settings = Efficiency(new_tokens=5)
    table = efficiency_table.table(*made_up(), settings).set_index(["geometry", "method", "budget"])
    row = table.loc[("llava-small", "visionzip", 160)]
    assert row["prefill"] == pytest.approx(100, rel=0.02)
    assert row["prefill_speedup"] == pytest.approx(10, rel=0.03)
    assert row["total"] == pytest.approx(200, rel=0.02)
    assert row["first token"] == pytest.approx(175, rel=0.02)
    assert row["token"] == pytest.approx(25 / 4, rel=0.03)
    assert row["flops_ratio"] == 18
    assert row["share"] == pytest.approx(10 / 18, rel=0.03)
    assert not table["noisy"].any()
    assert np.isnan(row["of_peak"])  # of a CPU nobody knows


def test_on_a_known_device_the_share_of_its_peak_rate_is_told():
    times, costs = (rows.assign(device="NVIDIA H200") for rows in made_up(noise=0))
    costs["flops_prefill"] = 989e12 / 4  # a quarter of a second at the peak
    table = efficiency_table.table(times, costs, Efficiency()).set_index(["method", "budget"])
    assert table.loc[("visionzip", 320), "of_peak"] == pytest.approx(0.25 / 0.3)


def test_what_scatters_has_no_speed_up_and_the_conclusion_says_so():
    times, costs = made_up(noise=0.6)
    table = efficiency_table.table(times, costs, Efficiency())
    assert table["noisy"].any()
    assert table.loc[table["noisy"], "prefill_speedup"].isna().any()
    text = efficiency_table.conclusion(table, Efficiency())
    assert "scatter by more than 25%" in text and "too noisy" in text


def test_the_papers_impossible_times_are_found():
    settings = Efficiency()
    table = efficiency_table.table(*made_up(), settings)
    rows = efficiency_table.beside_paper(table, settings)
    below = rows[rows["below_floor"]]
    assert set(below["table"]) == {18}
    vanilla = below[below["method"] == "Vanilla"].set_index("model")
    assert vanilla["paper_prefill"].to_dict() == {"LLaVA-NeXT-13B": 129.4, "LLaVA-NeXT-7B": 54.2}
    assert vanilla["floor"].round().to_dict() == {"LLaVA-NeXT-13B": 250, "LLaVA-NeXT-7B": 129}
    assert "54.2 ms printed, 129 ms needed" in efficiency_table.below_the_floor(rows)
    own = rows[(rows["table"] == 4) & (rows["method"] == "VisionZip")].iloc[0]
    assert own["paper_prefill_speedup"] == pytest.approx(218 / 27.8)
    assert own["prefill_speedup"] == pytest.approx(10, rel=0.03)
    assert own["geometry"] == "llava-small"


def test_verdicts_follow_the_measurements():
    assert outcome() == {
        "C35": "found",  # 10 times, the paper 7.8
        "C36": "found",  # 6 times, the paper 3
        "C37": "found",  # FastV 2.5 times VisionZip's prefill at 640
        "C38": "found",  # FastV 120 MB, vanilla 100
        "C39": "found",
        "C40": "found",
        "C42": "found",  # 110 of 250 MB
    }


@pytest.mark.parametrize(
    ("variant", "told", "claim", "verdict"),
    [
        ("visionzip_160", (0.5, 0.1, 30), "C35", "not found"),
        ("visionzip_160", (0.5, 0.1, 30), "C36", "not found"),
        ("fastv_640", (0.25, 0.2, 120), "C37", "not found"),
        ("fastv_640", (0.5, 0.2, 20), "C38", "opposite"),
        ("visionzip_640", (1.5, 0.2, 80), "C39", "opposite"),
        ("visionzip_640", (1.5, 0.2, 80), "C40", "not found"),
        ("visionzip_320", (0.3, 0.2, 190), "C42", "opposite"),
    ],
)
def test_other_measurements_give_other_verdicts(variant, told, claim, verdict):
    assert outcome(**{variant: told})[claim] == verdict


def test_noise_decides_nothing_and_what_was_not_measured_is_left_out():
    assert outcome(noise=0.6)["C35"] == "not measurable here"
    times, costs = made_up()
    only = costs["method"].isin(["vanilla", "visionzip"]) & (costs["geometry"] == "llava-small")
    table = efficiency_verdicts.verdicts(times, costs[only], Efficiency(larger=None))
    assert table["claim"].tolist() == ["C35", "C36"]
