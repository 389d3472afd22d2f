"""The token-budget sweep: what is planned, what is asked, and what the answers amount to."""

import shutil

import numpy as np
import pandas as pd
import pytest

from vzlib import notebooks, results
from vzlib.experiments.token_budget import draw, measure, measure_speed, tell
from vzlib.experiments.token_budget.settings import TokenBudget
from vzlib.methods import registry
from vzlib.paths import REPOSITORY
from vzlib.results import sources

FEW = ("visionzip", "random", "fastv")


def settings(folder, **changes) -> TokenBudget:
    small = {"model": folder, "each": 2, "methods": FEW, "budgets": (400, 64)}
    return notebooks.settings("06_token_budget", **small | changes)


def test_all_stands_for_every_method_that_can_meet_a_budget(scene_folder):
    chosen = settings(scene_folder, methods="all").chosen
    unasked = {"vanilla", "sparsevlm-v1", "cdpruner", "mmtok", "dart", "downsampling"}
    assert set(chosen) == set(registry.names()) - unasked
    for methods, message in (
        (("divprun",), "divprun: unknown; did you mean divprune"),
        (("sparsevlm-v1",), "cannot be compared"),
        (("visionzip", "vispruner(important=2)"), "important=2 should be less than or equal to 1"),
        (("fastv(removed=0.5)",), "removed cannot be set, as the budget decides it"),
        ((), "at least one"),
    ):
        with pytest.raises(ValueError, match=message):
            settings(scene_folder, methods=methods)


def test_a_new_method_is_one_file_and_one_row(scene_folder, own_store, tmp_path, monkeypatch):
    (tmp_path / "first_patches.py").write_text(
        "from dataclasses import dataclass\n"
        "import torch\n"
        "from vzlib.methods.before import Pruning\n"
        "@dataclass(frozen=True)\n"
        "class FirstPatches(Pruning):\n"
        "    def choose(self, patches, retain):\n"
        "        return torch.arange(retain).expand(len(patches.hidden), -1)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    row = registry.Row("first_patches:FirstPatches", "first patches", "control")
    monkeypatch.setitem(registry.METHODS, "first", row)
    assert "first" in settings(scene_folder, methods="all").chosen
    rows = measure.measure(settings(scene_folder, methods=("visionzip", "first")))
    assert set(rows["method"]) == {"vanilla", "visionzip", "first"}
    drawn = draw.figure(tell.curves(rows), "visual tokens")
    assert "first patches" in [text.get_text() for text in drawn.legends[0].get_texts()]
    assert "first" in set(tell.table(rows)["method"])


def test_hyper_parameters_make_points_and_rows_of_their_own(scene_folder, own_store):
    methods = ("vispruner", "vispruner( important = .25 )", "mmtok", "fastv(full_layers=1)",
               "visionzip-paper")  # fmt: skip
    chosen = settings(scene_folder, methods=methods, budgets=(300,))
    assert chosen.methods[1] == "vispruner(important=0.25)"
    rows = measure.measure(chosen)
    spent = rows.groupby("method")["average"].first()
    assert set(spent.index) == {"vanilla", *chosen.methods}
    assert spent["fastv(full_layers=1)"] == pytest.approx(300, abs=2)
    assert (spent[["vispruner", "vispruner(important=0.25)", "mmtok"]] == 300).all()
    curves = tell.curves(rows)
    drawn = draw.figure(curves, "visual tokens")
    texts = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert texts == ["all tokens", "VisionZip (paper)", "VisPruner", "VisPruner, important=0.25",
                     "MMTok", "FastV, full_layers=1"]  # fmt: skip
    assert set(tell.table(rows)["method"]) == set(spent.index)
    # A row of the registry is in no key, so what it sets is.
    stored = [results.provenance_of(folder)["settings"] for folder in results.entries()]
    fields = {point["method"]: point["fields"] for point in stored}
    assert fields["visionzip-paper"] == {"merge": "paper"} and fields["vispruner"] == {}


def test_a_plan_meets_budgets_or_says_that_it_cannot(scene_folder):
    plan = measure.plan(settings(scene_folder))
    assert plan[0] == ("vanilla", 576, 576)
    spends = {(point.method, point.budget): point.spends for point in plan}
    assert spends["fastv", 400] == pytest.approx(400, abs=20)
    assert spends["fastv", 64] is None  # two of three layers see all 576
    assert spends["visionzip", 64] == 64
    table = measure.schedules(settings(scene_folder)).set_index(["method", "budget"])
    assert table["measured"].to_dict() == {("fastv", 400): True, ("fastv", 64): False}
    nearest = table.loc[("fastv", 64)]
    assert (nearest["last"], nearest["average"]) == (1, pytest.approx((576 * 2 + 1) / 3))


@pytest.mark.parametrize(
    ("edited", "expected"),
    [
        ("divprune", {"divprune"}),
        ("visionzip", {"visionzip", "visionzip-paper"}),
        ("fastv", {"fastv"}),
    ],
)
def test_an_edit_of_a_method_concerns_its_own_points_and_no_others(tmp_path, edited, expected):
    shutil.copytree(REPOSITORY / "vzlib", tmp_path / "vzlib")
    module = tmp_path / "vzlib" / "methods" / f"{edited}.py"
    module.write_text(module.read_text() + "\nEDITED = 1\n")
    changed = set()
    for name in registry.names():
        before, after = (
            sources.fingerprint(measure._measure, root, [registry.row(name).module])
            for root in (REPOSITORY, tmp_path)
        )
        changed |= {name} if before != after else set()
    assert changed == expected


def test_the_last_layer_can_be_equalised_instead(scene_folder):
    chosen = settings(scene_folder, equalise="last layer", methods=("fastv",))
    assert {point.spends for point in measure.plan(chosen) if point.budget == 64} == {64}


def test_all_that_is_wrong_is_said_before_a_model_is_loaded(scene_folder, monkeypatch):
    monkeypatch.setattr("vzlib.models.load.load", lambda *_: pytest.fail("loaded a model"))
    with pytest.raises(
        ValueError, match=r"(?s)4 problems.*576.*9000.*3 stages.*4 layers.*missing.jsonl"
    ):
        measure.measure(
            settings(
                scene_folder,  # of three layers
                budgets=(576, 64, 9000),
                methods=("visionzip", "sparsevlm"),
                questions="missing.jsonl",
            )
        )


def test_budgets_that_a_method_cannot_spend_are_refused_with_the_nearest(scene_folder):
    chosen = {"budgets": (64, 31), "methods": ("visionzip", "downsampling(stretch=1)")}
    with pytest.raises(ValueError, match=r"1 problem .*\n.*31 is no grid .*: 25 .* and 36 .*$"):
        measure.plan(settings(scene_folder, **chosen))


def test_every_point_answers_the_same_questions_once(scene_folder, own_store, monkeypatch):
    rows = measure.measure(settings(scene_folder))
    points = rows.groupby(["method", "budget"])
    assert set(points.groups) == {
        ("vanilla", 576), ("visionzip", 400), ("random", 400), ("fastv", 400),
        ("visionzip", 64), ("random", 64),
    }  # fmt: skip
    asked = points["question"].agg(list)
    assert all(questions == asked["vanilla", 576] for questions in asked)
    assert (points.size() == 10).all()
    zipped = rows[(rows["method"] == "visionzip") & (rows["budget"] == 64)]
    assert set(zipped["at_input"]) == {64} and set(zipped["average"]) == {64}
    inside = rows[rows["method"] == "fastv"]
    assert set(inside["at_input"]) == {576}
    assert inside["average"].iloc[0] == pytest.approx(400, abs=20)
    cost = points["gflops"].first()
    assert cost["visionzip", 64] < cost["fastv", 400] < cost["vanilla", 576]

    evaluate = "vzlib.evaluation.evaluate.evaluate"
    monkeypatch.setattr(evaluate, lambda *_, **__: pytest.fail("measured again"))
    again = measure.measure(settings(scene_folder, budgets=(64,)))
    kept = rows[rows["budget"].isin((576, 64))].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, kept)
    assert len(results.entries()) == 6


def test_methods_that_draw_are_measured_with_every_seed(scene_folder, own_store):
    chosen = settings(scene_folder, budgets=(64,), methods=("visionzip", "random"), seeds=(0, 1))
    rows = measure.measure(chosen)
    seeds = rows.groupby("method")["seed"].unique().map(list).to_dict()
    assert seeds == {"vanilla": [0], "visionzip": [0], "random": [0, 1]}
    table = tell.table(rows)
    assert (table["n"] == 10).all()


def test_speed_is_measured_on_the_same_questions_in_turns(scene_folder, own_store):
    speed = measure_speed.measure(settings(scene_folder)).set_index("method")
    assert (speed["questions"] == 10).all()
    assert speed.loc["vanilla", "ratio"] == 1
    per_second = speed["questions"] / speed["seconds"]
    assert np.allclose(speed["questions_per_second"], per_second)
