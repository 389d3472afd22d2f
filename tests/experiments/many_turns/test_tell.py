"""Turns, losses behind a question, leads and costs of made-up answers."""

import numpy as np
import pytest

from tests.experiments.many_turns.made_up import LEVELS, rows
from vzlib.experiments.many_turns import tell

ROWS = rows(LEVELS)


def share(method, turn, history="dropped"):
    own = ROWS.query("method == @method and turn == @turn and history == @history")
    return 100 * own["score"].mean()


def test_accuracy_by_turn_is_the_mean_over_tasks_of_every_way():
    told = tell.by_turn(ROWS).set_index(["method", "history", "turn"])
    assert len(told) == 5 * 4 and (told["n"] == 300).all()
    for (method, history, turn), row in told.iterrows():
        assert row["value"] == pytest.approx(share(method, turn, history))
        assert row["low"] < row["value"] < row["high"]


def test_what_is_lost_is_told_against_the_same_questions_asked_first():
    lost = tell.keeping(ROWS).set_index(["method", "history", "about"])
    fresh = share("fastv", 1)
    same, other = (lost.loc[("fastv", "dropped", about)] for about in (tell.SAME, tell.OTHER))
    assert same["value"] == pytest.approx(share("fastv", 3) - fresh)
    assert other["value"] == pytest.approx(share("fastv", 2) - fresh) and other["high"] < 0
    contrast = lost.loc[("fastv", "dropped", tell.CONTRAST)]
    assert contrast["value"] == pytest.approx(share("fastv", 3) - share("fastv", 2))
    assert lost.loc[("visionzip", "dropped", tell.ANY), "value"] == 0
    assert lost.loc[("vanilla", "kept", tell.ANY), "value"] < -40


def test_only_questions_asked_behind_both_are_compared_by_the_thing():
    some = ROWS[~((ROWS["about"] == tell.SAME) & (ROWS["turn"] > 1) & (ROWS["image"] > "image 3"))]
    lost = tell.keeping(some).query("method == 'fastv'").set_index("about")
    least = ROWS["image"].where(ROWS["image"] <= "image 3").nunique()
    assert lost.loc[tell.SAME, "n"] == lost.loc[tell.CONTRAST, "n"] == 2 * least
    assert lost.loc[tell.OTHER, "n"] == 300
    unknown = tell.keeping(ROWS.assign(about="unknown"))
    assert set(unknown["about"]) == {tell.ANY}


def test_leads_are_paired_by_turn_and_corrected_together():
    table = tell.leads(ROWS, "dropped").set_index(["method", "when"])
    assert len(table) == 6
    assert table.loc[("fastv", tell.FIRST), "value"] == 0
    last = table.loc[("fastv", "turn 4")]
    assert last["value"] == pytest.approx(share("visionzip", 4) - share("fastv", 4))
    later = np.mean([share("visionzip", t) - share("fastv", t) for t in (2, 3, 4)])
    assert table.loc[("fastv", tell.LATER), "value"] == pytest.approx(later)
    assert (table["holm"] >= table["p"]).all()


def test_the_form_that_the_model_knows_and_the_cost_of_a_dialogue():
    assert tell.form(ROWS).value == pytest.approx(share("vanilla", 4) - share("vanilla", 4, "kept"))
    cost = tell.costs(ROWS, "dropped").set_index("method").loc["fastv"]
    assert (cost["kept"], cost["fresh"]) == (3.5, 8.0) and cost["ratio"] == pytest.approx(8 / 3.5)
    assert (cost["visual"], cost["held"], cost["later"]) == (288, 300, 0.5)
    text = tell.conclusion(ROWS, "dropped")
    assert "VisionZip leads FastV by" in text and "all tokens, turn 4 is" in text
