"""Answers of every variant, and what is stored of them."""

import json

import pandas as pd
import pytest
import torch

from tests import tiny
from vzlib import results, scenes
from vzlib.evaluation import evaluate as evaluation
from vzlib.experiments.dominant_contextual import measure, tell
from vzlib.methods.before import Further
from vzlib.methods.visionzip import VisionZip
from vzlib.models import load
from vzlib.notebooks import settings
from vzlib.tokens import BudgetError
from vzlib.tokens.evidence import Encoded


def chosen(folder, **changes):
    small = {"model": folder, "each": 3, "totals": [16]}
    return settings("07_dominant_contextual", **small | changes)


def test_answers_belong_to_the_tokens_they_are_named_after(tiny_folder, own_store, monkeypatch):
    encoded = Encoded(torch.randn(1, 37, 8), torch.rand(1, 37), torch.randn(1, 37, 4))
    given = {"has_cls": True, "further": Further(received=torch.rand(1, 4, 37))}

    def evaluate(loaded, ways, asked, remember):
        """One row per way and question; the score tells the tokens of the way apart."""
        found = []
        for way in ways:
            tokens = way.before.reduce(encoded, way.retain, **given).tokens
            told = {"way": way.name, "answer": "x", "score": float(tokens.sum())}
            found.append(told | dict.fromkeys(("at_input", "average"), tokens.shape[1]))
        questions = [(one.name, q.task, q.text) for one in asked for q in one.questions]
        questions = pd.DataFrame(questions, columns=["image", "task", "question"])
        return questions.merge(pd.DataFrame(found), how="cross")

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    rows = measure.measure(chosen(tiny_folder(), totals=(16, 24)))
    assert set(rows["factor"]) == {"all tokens", *measure.FACTORS}
    sizes = rows.groupby(["total", "factor", "choice"]).size()
    assert (sizes == 15).all() and len(sizes) == 2 * 22 + 1
    own = rows[rows["choice"] != "no contextual tokens"]
    assert (own["at_input"] == own["total"]).all()
    assert (rows["dominant"] + rows["contextual"] == rows["at_input"]).all()
    assert set(rows.loc[rows["factor"] != "layer", "layer"]) == {3}
    assert rows.loc[rows["factor"] == "layer", "layer"].unique().tolist() == [1, 2, 4]
    by_total = rows.groupby(["factor", "total"])["score"].unique()
    for total in (16, 24):
        for factor, merge in (("released", "code"), ("merge rule", "paper")):
            expected = float(VisionZip(merge=merge).reduce(encoded, total, **given).tokens.sum())
            assert by_total[factor, total].tolist() == [expected]
    assert by_total["all tokens", 36].tolist() == [float(encoded.hidden[:, 1:].sum())]


def test_what_is_stored_needs_no_model_and_a_new_total_no_old_one(
    tiny_folder, own_store, monkeypatch
):
    folder = tiny_folder()
    first = measure.measure(chosen(folder))
    asked = []
    measured = measure._measure
    monkeypatch.setattr(
        measure, "_measure", lambda *a: asked.append(a[2][0]["total"]) or measured(*a)
    )
    monkeypatch.setattr(measure._measure, "__module__", measured.__module__)
    measure.measure(chosen(folder, totals=(16, 20)))
    assert asked == [20]
    load._loaded.cache_clear()
    monkeypatch.setattr(load, "load", None)
    pd.testing.assert_frame_equal(first, measure.measure(chosen(folder)))


def test_a_tower_without_cls_has_nothing_to_choose_about_it(tiny_folder, own_store):
    rows = measure.measure(chosen(tiny_folder("siglip")))
    assert set(rows["factor"]) == {"all tokens", *measure.FACTORS} - {"CLS"}


def test_impossible_totals_are_all_named_before_a_model_is_loaded(
    tiny_folder, own_store, monkeypatch
):
    monkeypatch.setattr(load, "load", None)
    with pytest.raises(BudgetError, match=r"totals \[37, 64\] must be at most 36"):
        measure.measure(chosen(tiny_folder(), totals=(16, 37, 64)))
    with pytest.raises(ValueError, match=r"nowhere\.jsonl"):
        measure.measure(chosen(tiny_folder(), questions="nowhere.jsonl"))


def test_scenes_are_the_questions_of_the_key(tiny_folder, own_store):
    measure.measure(chosen(tiny_folder()))
    records = [results.provenance_of(folder) for folder in results.entries()]
    assert len(records) == 1 + len(measure.FACTORS)
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
    rows = measure.measure(chosen(tiny_folder(), questions=str(file)))
    assert set(rows["image"]) == {"0.png", "1.png"} and set(rows["task"]) == {"what", "how"}
    assert (rows.groupby(["factor", "choice"]).size() == 3).all() and rows["said"].notna().all()
    own = tell.differences(rows)
    assert (own["n"] == 3).all()
    # Moved elsewhere the same file has the same answers, which are in the store.
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("own.jsonl", "0.png", "1.png"):
        (tmp_path / name).rename(moved / name)
    before = len(results.entries())
    measure.measure(chosen(tiny_folder(), questions=str(moved / "own.jsonl")))
    assert len(results.entries()) == before
