"""Losses and odds of made-up answers, of which it is known why they are lost."""

import numpy as np
import pandas as pd
import pytest

from tests.experiments.what_is_lost.made_up import logistic, made_up
from vzlib.claims.evidence import Evidence
from vzlib.experiments.what_is_lost import claims, tell
from vzlib.experiments.what_is_lost.tell_odds import odds
from vzlib.notebooks import settings


def of_size_and_task(things):
    hard = things["task"].map({"attribute": -1.5, "counting": 0.5, "reading": -0.5})
    return logistic(hard - np.log(3) * (np.log2(things["size"]) - 3) - 4 * (things["kept"] - 0.5))


def test_odds_find_what_made_the_losses_and_nothing_else():
    rows, things = made_up(of_size_and_task, images=700)
    table = odds(tell.answers(rows, things), kept=True).set_index("term")
    size, kept = table.loc["size"], table.loc["kept"]
    assert size["low"] < 3 < size["high"] and size["low"] > 2
    assert 1.2 < kept["low"] < np.exp(0.4) < kept["high"] < 2
    for name in ("eccentricity", "others", "contrast"):
        assert table.loc[name, "low"] < 1 < table.loc[name, "high"]
    tasks = table.loc[[f"task: {name}" for name in ("attribute", "counting", "reading")]]
    assert np.log(tasks["value"]).sum() == pytest.approx(0, abs=1e-6)
    assert np.log(tasks["value"]).to_numpy() == pytest.approx([-1, 1, 0], abs=0.4)
    assert (table["holm"] >= table["p"]).all() and (table["n"] == 2100).all()


def test_only_answers_that_all_tokens_give_can_be_lost():
    rows, things = made_up(of_size_and_task)
    wrong = rows["image"].isin(["scene 0", "scene 1"]) & (rows["method"] == "vanilla")
    rows.loc[wrong, "score"] = 0.0
    data = tell.answers(rows, things[things["image"] != "scene 2"])
    assert len(data) == 197 * 3 and not {"scene 0", "scene 1", "scene 2"} & set(data["image"])
    assert ((data["lost"] == 1) == (data["score"] == 0)).all()


def test_what_has_no_ground_around_it_to_stand_out_from_is_left_out():
    rows, things = made_up(of_size_and_task)
    things.loc[things["image"] == "scene 4", "contrast"] = np.nan
    data = tell.answers(rows, things)
    assert "scene 4" not in set(data["image"]) and "scene 5" in set(data["image"])
    assert not odds(data, kept=True).empty


def test_a_task_that_loses_nothing_is_left_out_and_its_answers_do_not_count():
    rows, things = made_up(lambda one: (one["task"] != "reading") * of_size_and_task(one))
    table = odds(tell.answers(rows, things), kept=False)
    assert "task: reading" not in set(table["term"]) and (table["n"] == 400).all()
    assert "kept" not in set(table["term"])


def test_losses_that_are_few_or_told_apart_without_error_have_no_odds():
    rows, things = made_up(lambda one: np.where(one["image"].isin(["scene 0", "scene 1"]), 1.0, 0))
    assert odds(tell.answers(rows, things), kept=False).empty
    rows, things = made_up(lambda one: (one["size"] < 8).astype(float))
    assert odds(tell.answers(rows, things), kept=False)["low"].isna().all()


def test_rates_are_those_of_quarters_of_the_questions():
    rows, things = made_up(lambda one: (one["size"] < 8) * 1.0, budgets=(64, 192))
    data = tell.answers(rows, things)
    table = tell.rates(data)
    sizes = table[(table["of"] == "size") & (table["budget"] == 64)]
    assert sizes["n"].tolist() == [150] * 4 and sizes["middle"].is_monotonic_increasing
    assert sizes["value"].iloc[0] == 100 and sizes["value"].iloc[3] == 0
    kept = table[(table["of"] == "kept") & (table["budget"] == 192)]
    assert kept["part"].tolist() == [0, 1, 2, 3]
    tasks = table[(table["of"] == "task") & (table["budget"] == 64)].set_index("part")
    own = data[(data["task"] == "reading") & (data["budget"] == 64)]
    assert tasks.loc["reading", "value"] == pytest.approx(100 * own["lost"].mean())
    assert (tasks["low"] < tasks["value"]).all()


class Given(Evidence):
    def __init__(self, rows, things):
        super().__init__(settings("15_claims"))
        self.given = {"measure": rows, "measure_things": things}

    def rows(self, notebook, function="measure", *, module="measure", **only):
        assert notebook == claims.NOTEBOOK
        assert only == {"methods": ("visionzip",), "budgets": (64,)}
        return self.given[module]


def test_the_claim_is_decided_by_the_task_that_loses_most():
    found = claims.by_kind_of_question(Given(*made_up(of_size_and_task, images=500)))
    assert found.verdict == "found" and found.note.startswith("counting, the largest")
    assert "half the size 3." in found.note or "half the size 2." in found.note
    same = claims.by_kind_of_question(Given(*made_up(lambda one: logistic(0 * one["size"] - 1))))
    assert same.verdict == "not found" and same.n == 600
    rows, things = made_up(of_size_and_task)
    assert claims.by_kind_of_question(Given(rows, things[:0])).verdict == "not measurable here"
    few = claims.by_kind_of_question(Given(*made_up(lambda one: 0 * one["size"])))
    assert few.verdict == "not measurable here" and "too few answers" in few.note


def test_the_conclusion_names_what_is_apart():
    data = tell.answers(*made_up(of_size_and_task, images=500))
    told = tell.conclusion(data, tell.ratios(data))
    assert told.startswith("visionzip, 64 tokens: of 1500 answers about something")
    held, free = told.partition("With what is kept held")[::2]
    assert "half the size" in held and "half the size" in free
    assert "a tenth less of" in free and "a tenth less of" not in held


def test_ratios_of_nothing_are_an_empty_table():
    rows, things = made_up(lambda one: 0 * one["size"])
    table = tell.ratios(tell.answers(rows, things))
    assert table.empty and {"method", "held", "term"} <= set(table.columns)
    assert isinstance(table, pd.DataFrame)
