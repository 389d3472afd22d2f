"""Differences, the curve and the verdicts of made-up answers."""

import numpy as np
import pandas as pd
import pytest

from vzlib.experiments.dominant_contextual import tell

LEVELS = {
    ("all tokens", "all tokens"): 0.9,
    ("released", "released"): 0.7,
    ("split", "none"): 0.5,
    ("split", "50 %"): 0.7,
    ("split, paper rule", "50 %"): 0.1,
    ("merge rule", "mean of the group"): 0.8,
    ("leftovers", "not merged"): 0.7,
    ("layer", "layer 1"): 0.2,
}


def made_up(levels=LEVELS, images=40, totals=(16, 32)):
    """Rows in which the share of questions answered right is known for every choice."""
    contextual = {"none": 0, "50 %": 0.5, "all tokens": 0}
    return pd.DataFrame(
        [
            {
                "total": 36 if factor == "all tokens" else total,
                "factor": factor,
                "choice": choice,
                "dominant": total - 4,
                "contextual": int(total * contextual.get(choice, 0.125)),
                "merge": "paper" if factor in ("merge rule", "split, paper rule") else "code",
                "layer": 1 if factor == "layer" else 3,
                "task": task,
                "image": f"scene {image}",
                "question": "?",
                "answer": "x",
                "score": float((image * 7 + shift) % images < share * images),
            }
            for (factor, choice), share in levels.items()
            for total in (totals[:1] if factor == "all tokens" else totals)
            for shift, task in enumerate(("existence", "reading"))
            for image in range(images)
        ]
    )


def test_differences_are_those_put_in_pooled_and_by_total():
    table = tell.differences(made_up())
    assert table["total"].value_counts(sort=False).to_dict() == {tell.POOLED: 5, 16: 5, 32: 5}
    for total, own in table.groupby("total"):
        value = own.set_index("choice")["value"].round(6).to_dict()
        assert value == {"layer 1": -50, "none": -20, "mean of the group": 10, "50 %": 0,
                         "not merged": 0}  # fmt: skip
        assert own["value"].abs().is_monotonic_decreasing, total
        assert (own["n"] == 80).all()
    assert (table["holm"] >= table["p"]).all()


def test_pooling_counts_a_question_once():
    rows = made_up(totals=(16, 32, 48, 64))
    table = tell.differences(rows).set_index(["total", "choice"])
    assert table.loc[(tell.POOLED, "none"), "n"] == 80
    # The same answers at every total tell no more.
    widths = (table["high"] - table["low"]).xs("none", level="choice")
    assert np.isclose(widths[tell.POOLED], widths[16])


def test_by_task_separates_the_tasks():
    rows = made_up()
    spoilt = (rows["task"] == "reading") & (rows["choice"] == "none")
    rows.loc[spoilt, "score"] = 0.0
    table = tell.by_task(rows)
    none = table[table["choice"] == "none"].set_index("task")
    assert none["value"].round(6).to_dict() == {"existence": -20, "reading": -70}
    assert (none["n"] == 40).all()


def test_the_curve_has_one_point_without_contextual_tokens_under_both_rules():
    table = tell.curve(made_up())
    means = table[(table["task"] == "mean") & (table["total"] == 16)]
    assert means.set_index(["merge", "share"])["value"].round(6).to_dict() == {
        ("code", 0): 50, ("code", 0.125): 70, ("code", 0.5): 70,
        ("paper", 0): 50, ("paper", 0.125): 80, ("paper", 0.5): 10,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("none", "expected"), [(0.5, "found"), (0.9, "opposite"), (0.725, "not found")]
)
def test_the_claim_is_decided_by_dominant_tokens_alone(none, expected):
    rows = made_up({**LEVELS, ("split", "none"): none})
    table = tell.verdicts(tell.differences(rows))
    own = table.set_index(["total", "against"])
    alone = own.loc[(tell.POOLED, "dominant tokens alone")]
    assert alone["verdict"] == expected
    assert alone["low"] <= alone["value"] <= alone["high"]
    assert np.isclose(alone["value"], 70 - 100 * none)
    assert own.loc[(tell.POOLED, "targets not merged"), "verdict"] == "not found"


def test_the_conclusion_says_what_matters_and_what_does_not():
    rows = made_up(images=200)
    text = tell.conclusion(rows, tell.differences(rows))
    assert "With all tokens the model answers 90.0 % of 400 questions about 200 images" in text
    assert "70.0 % at 16, 70.0 % at 32 tokens" in text
    assert "Of 5 other choices 3 change" in text
    assert text.index("layer 1 -50.0") < text.index("split: none -20.0") < text.index("group +10.0")
    assert "For the others (split: 50 %, leftovers: not merged) no difference is shown" in text
    assert "(C13): found" in text
    alike = {name: 0.7 for name in LEVELS}
    rows = made_up(alike)
    text = tell.conclusion(rows, tell.differences(rows))
    assert "0 change the mean over the totals significantly (p < 0.05 after Holm)." in text
    assert "(C13): not found" in text
