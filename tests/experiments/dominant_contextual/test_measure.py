"""What is stored of the variants, and differences and verdicts of made-up answers."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from tests import tiny
from vzlib import results, scenes
from vzlib.evaluation import evaluate as evaluation
from vzlib.experiments.dominant_contextual import claims as claims_of
from vzlib.experiments.dominant_contextual import measure as dominant_contextual
from vzlib.experiments.dominant_contextual.measure import FACTORS, POOLED
from vzlib.experiments.dominant_contextual.settings import DominantContextual
from vzlib.experiments.dominant_contextual.variants import EncodedByLayer, encode_by_layer
from vzlib.methods.visionzip import visionzip, visionzip_paper
from vzlib.models import load
from vzlib.models.towers import encode
from vzlib.tokens import BudgetError


def settings(folder, **changes):
    return DominantContextual(model=folder, **{"each": 3, "totals": (16,), **changes})


def test_answers_belong_to_the_tokens_they_are_named_after(tiny_folder, own_store, monkeypatch):
    encoded = EncodedByLayer(torch.randn(1, 37, 8), torch.rand(1, 37), torch.randn(1, 37, 4))
    encoded.received = torch.rand(1, 4, 37)

    def evaluate(loaded, ways, asked, look):
        """One row per way and question; the score tells the tokens of the way apart."""
        assert look is (encode if ways[0].name == ways[-1].name else encode_by_layer)
        found = []
        for way in ways:
            tokens = way.before(encoded, 0)
            told = {"way": way.name, "answer": "x", "score": float(tokens.sum())}
            found.append(told | {"at_input": tokens.shape[1]})
        questions = [(one.name, q.task, q.text) for one in asked for q in one.questions]
        questions = pd.DataFrame(questions, columns=["image", "task", "question"])
        return questions.merge(pd.DataFrame(found), how="cross")

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    rows = dominant_contextual.measure(settings(tiny_folder(), totals=(16, 24)))
    assert set(rows["factor"]) == {"all tokens", *FACTORS}
    sizes = rows.groupby(["total", "factor", "choice"]).size()
    assert (sizes == 15).all() and len(sizes) == 2 * 22 + 1
    own = rows[rows["choice"] != "no contextual tokens"]
    assert (own["at_input"] == own["total"]).all()
    assert (rows["dominant"] + rows["contextual"] == rows["at_input"]).all()
    assert set(rows.loc[rows["factor"] != "layer", "layer"]) == {3}
    assert rows.loc[rows["factor"] == "layer", "layer"].unique().tolist() == [1, 2, 4]
    by_total = rows.groupby(["factor", "total"])["score"].unique()
    for total in (16, 24):
        for factor, method in (("released", visionzip), ("merge rule", visionzip_paper)):
            expected = float(method(encoded, total, has_cls=True).sum())
            assert by_total[factor, total].tolist() == [expected]
    assert by_total["all tokens", 36].tolist() == [float(encoded.hidden[:, 1:].sum())]


def test_what_is_stored_needs_no_model_and_a_new_total_no_old_one(
    tiny_folder, own_store, monkeypatch
):
    folder = tiny_folder()
    first = dominant_contextual.measure(settings(folder))
    asked = []
    measured = dominant_contextual._measure
    monkeypatch.setattr(
        dominant_contextual, "_measure", lambda *a: asked.append(a[2][0]["total"]) or measured(*a)
    )
    monkeypatch.setattr(dominant_contextual._measure, "__module__", measured.__module__)
    dominant_contextual.measure(settings(folder, totals=(16, 20)))
    assert asked == [20]
    load._loaded.cache_clear()
    monkeypatch.setattr(load, "load", None)
    pd.testing.assert_frame_equal(first, dominant_contextual.measure(settings(folder)))


def test_a_tower_without_cls_has_nothing_to_choose_about_it(tiny_folder, own_store):
    rows = dominant_contextual.measure(settings(tiny_folder("siglip")))
    assert set(rows["factor"]) == {"all tokens", *FACTORS} - {"CLS"}


def test_impossible_totals_are_all_named_before_a_model_is_loaded(
    tiny_folder, own_store, monkeypatch
):
    monkeypatch.setattr(load, "load", None)
    with pytest.raises(BudgetError, match=r"totals \[37, 64\] must be at most 36"):
        dominant_contextual.measure(settings(tiny_folder(), totals=(16, 37, 64)))
    with pytest.raises(ValueError, match=r"nowhere\.jsonl"):
        dominant_contextual.measure(settings(tiny_folder(), questions="nowhere.jsonl"))


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
    table = dominant_contextual.differences(made_up())
    assert table["total"].value_counts(sort=False).to_dict() == {POOLED: 5, 16: 5, 32: 5}
    for total, own in table.groupby("total"):
        value = own.set_index("choice")["value"].round(6).to_dict()
        assert value == {"layer 1": -50, "none": -20, "mean of the group": 10, "50 %": 0,
                         "not merged": 0}  # fmt: skip
        assert own["value"].abs().is_monotonic_decreasing, total
        assert (own["n"] == 80).all()
    assert (table["holm"] >= table["p"]).all()


def test_pooling_counts_a_question_once():
    rows = made_up(totals=(16, 32, 48, 64))
    table = dominant_contextual.differences(rows).set_index(["total", "choice"])
    assert table.loc[(POOLED, "none"), "n"] == 80
    widths = (table["high"] - table["low"]).xs("none", level="choice")
    assert np.isclose(widths[POOLED], widths[16])  # the same answers at every total tell no more


def test_by_task_separates_the_tasks():
    rows = made_up()
    spoilt = (rows["task"] == "reading") & (rows["choice"] == "none")
    rows.loc[spoilt, "score"] = 0.0
    table = dominant_contextual.by_task(rows)
    none = table[table["choice"] == "none"].set_index("task")
    assert none["value"].round(6).to_dict() == {"existence": -20, "reading": -70}
    assert (none["n"] == 40).all()


def test_the_curve_has_one_point_without_contextual_tokens_under_both_rules():
    table = dominant_contextual.curve(made_up())
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
    table = claims_of.verdicts(dominant_contextual.differences(rows))
    own = table.set_index(["total", "against"])
    alone = own.loc[(POOLED, "dominant tokens alone")]
    assert alone["verdict"] == expected
    assert alone["low"] <= alone["value"] <= alone["high"]
    assert np.isclose(alone["value"], 70 - 100 * none)
    assert own.loc[(POOLED, "targets not merged"), "verdict"] == "not found"


def test_the_conclusion_says_what_matters_and_what_does_not():
    rows = made_up(images=200)
    text = claims_of.conclusion(rows, dominant_contextual.differences(rows))
    assert "With all tokens the model answers 90.0 % of 400 questions about 200 images" in text
    assert "70.0 % at 16, 70.0 % at 32 tokens" in text
    assert "Of 5 other choices 3 change" in text
    assert text.index("layer 1 -50.0") < text.index("split: none -20.0") < text.index("group +10.0")
    assert "For the others (split: 50 %, leftovers: not merged) no difference is shown" in text
    assert "(C13): found" in text
    alike = {name: 0.7 for name in LEVELS}
    rows = made_up(alike)
    text = claims_of.conclusion(rows, dominant_contextual.differences(rows))
    assert "0 change the mean over the totals significantly (p < 0.05 after Holm)." in text
    assert "(C13): not found" in text


def test_scenes_are_the_questions_of_the_key(tiny_folder, own_store):
    dominant_contextual.measure(settings(tiny_folder()))
    records = [results.provenance_of(folder) for folder in results.entries()]
    assert len(records) == 1 + len(FACTORS)
    assert {record["data"] for record in records} == {str(scenes.VERSION)}


def test_questions_come_from_a_file_too(tiny_folder, own_store, tmp_path):
    for number in range(2):
        tiny.image(number).save(tmp_path / f"{number}.png")
    lines = [
        {"image": f"{n % 2}.png", "question": f"{text} ?", "answer": "red", "task": text.split()[0]}
        for n, text in enumerate(("what colour", "how many", "what shape"))
    ]
    file = tmp_path / "own.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    rows = dominant_contextual.measure(settings(tiny_folder(), questions=str(file)))
    assert set(rows["image"]) == {"0.png", "1.png"} and set(rows["task"]) == {"what", "how"}
    assert (rows.groupby(["factor", "choice"]).size() == 3).all() and rows["said"].notna().all()
    own = dominant_contextual.differences(rows)
    assert (own["n"] == 3).all()
    # Moved elsewhere the same file has the same answers, which are in the store.
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("own.jsonl", "0.png", "1.png"):
        (tmp_path / name).rename(moved / name)
    before = len(results.entries())
    dominant_contextual.measure(settings(tiny_folder(), questions=str(moved / "own.jsonl")))
    assert len(results.entries()) == before
