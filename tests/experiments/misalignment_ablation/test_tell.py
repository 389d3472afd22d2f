"""Effects, overlap, coverage and verdicts of made-up answers."""

import numpy as np
import pandas as pd
import pytest

from vzlib.experiments.misalignment_ablation import measure, tell

TASKS = ("reading", "counting")


def made_up(accuracies, images=200, seed=0):
    """Rows as `measure` gives them: scores of one selector, every condition on the same images."""
    random = np.random.default_rng(seed)
    ease = {task: random.random(images) for task in TASKS}
    rows = []
    for condition in measure.CONDITIONS:
        right = accuracies.get(condition, accuracies["baseline"])
        for task in TASKS:
            scores = ease[task] < right
            rows += [
                ("sparsevlm", condition, 0, task, f"image {i}", "what ?", "x y"[i % 2 * 2], score)
                for i, score in enumerate(scores.astype(float))
            ]
    columns = ["selector", "condition", "seed", "task", "image", "question", "answer", "score"]
    given = {"at_input": 576, "average": 99.0, "by_layer": "576/64", "dominant": 5.0}
    return pd.DataFrame(rows, columns=columns).assign(**given, chance=10.0, covered=50.0)


def test_effects_are_differences_in_points_and_percent():
    rows = made_up({"baseline": 0.8, "ex1": 0.6})
    table = tell.effects(rows)
    means = table[table["task"] == "mean"].set_index(["one", "other"])
    effect = means.loc[("ex1", "baseline")]
    accuracy = rows.groupby("condition")["score"].mean()
    by_task = rows.groupby(["condition", "task"])["score"].mean()
    ratio = (by_task["ex1"] / by_task["baseline"]).mean()
    assert effect["value"] == pytest.approx(100 * (accuracy["ex1"] - accuracy["baseline"]))
    assert effect["percent"] == pytest.approx(100 * (ratio - 1))
    assert effect["percent_low"] < effect["percent"] < effect["percent_high"] < 0
    assert effect["holm"] == pytest.approx(min(1, 8 * effect["p"]))
    assert means.loc[("ex2", "baseline"), "value"] == 0
    assert effect["n"] == 400


@pytest.mark.parametrize("task", ["n", "low", "selector", "majority"])
def test_no_task_takes_the_place_of_another_column(task):
    rows = made_up({"baseline": 0.8, "ex1": 0.6})
    named = tell.conditions(rows.replace({"task": {"counting": task}}))
    renamed = named.rename(columns={f"{task} (task)": "counting"})
    pd.testing.assert_frame_equal(renamed, tell.conditions(rows))


def test_percent_is_the_mean_of_what_each_task_changes():
    rows = made_up({"baseline": 0.8, "ex1": 0.6})
    easy = (rows["task"] == "counting") & (rows["condition"] == "ex1")
    rows.loc[easy, "score"] = (
        rows.loc[rows["condition"] == "baseline"]
        .groupby("task")["score"]
        .get_group("counting")
        .to_numpy()
    )
    means = tell.effects(rows, by_task=False).set_index(["one", "other"])
    by_task = rows.groupby(["condition", "task"])["score"].mean()
    lost = 100 * (by_task["ex1", "reading"] / by_task["baseline", "reading"] - 1)
    assert means.loc[("ex1", "baseline"), "percent"] == pytest.approx(lost / 2)


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ({"ex1": 0.6, "ex2": 0.9}, ("found", "found", "found", "found")),
        ({"ex1": 0.9, "ex2": 0.6}, ("opposite",) * 4),
        ({"ex1": 0.6, "ex1 random": 0.6}, ("found", "not found", "not found", "not found")),
        ({}, ("not found",) * 4),
    ],
)
def test_verdicts_tell_which_tokens_from_how_many(accuracies, expected):
    table = tell.effects(made_up({"baseline": 0.8, **accuracies}))
    found = tell.verdicts(table)
    assert found["paper"].tolist() == [-9.2, 2.7]
    (ex1, ex2) = found[["verdict", "which"]].to_numpy().tolist()
    assert (*ex1, *ex2) == expected


def test_the_other_reading_of_ex2_is_judged_where_asked_for():
    table = tell.effects(made_up({"baseline": 0.8, "ex2 zipped": 0.9}))
    by_reading = [tell.verdicts(table, ex2)["verdict"].iloc[1] for ex2 in ("dominant", "zipped")]
    assert by_reading == ["not found", "found"]


def test_the_conclusion_warns_where_the_baseline_knows_nothing():
    able = tell.conclusion(made_up({"baseline": 0.8}))
    assert "Mind" not in able
    assert "5.0 % are dominant, less than chance (10.0 %)" in able
    assert "Mind: with sparsevlm" in tell.conclusion(made_up({"baseline": 0.5}))


def test_coverage_is_per_question_and_empty_where_no_thing_is_known():
    rows = made_up({"baseline": 0.8}, images=10)
    table = tell.coverage(rows)
    assert (table["value"] == 50).all() and set(table["n"]) == {10, 20}
    assert tell.coverage(rows.assign(covered=np.nan)).empty
    assert "covers" not in tell.conclusion(rows.assign(covered=np.nan))


def test_of_one_image_the_coverage_has_no_interval():
    table = tell.coverage(made_up({"baseline": 0.8}, images=1))
    assert (table["value"] == 50).all() and table[["low", "high"]].isna().all(axis=None)
