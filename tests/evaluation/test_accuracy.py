"""Accuracy: the questions asked, the intervals, and answers as a zipped model would give them."""

import pytest

from vzlib import scenes
from vzlib.evaluation import accuracy
from vzlib.models.answer import answer
from vzlib.models.load import load
from vzlib.models.zip import zip_model
from vzlib.scenes import TASKS, make

POINTS = [("vanilla", 576), ("visionzip", 64), ("visionzip-paper", 64), ("random", 64)]


@pytest.fixture(scope="module")
def pico():
    return load("pico")


@pytest.fixture(scope="module")
def rows(pico):
    return accuracy.answers(pico, POINTS, each=10, progress=False)


def test_every_point_answers_the_same_questions_each_from_its_own_scene(rows):
    assert (rows.groupby(["method", "task"]).size() == 10).all()
    assert set(rows["task"]) == set(TASKS)
    asked = rows.groupby("method")["question"].agg(list)
    assert all(asked[name] == asked["vanilla"] for name, _ in POINTS)
    assert not rows.duplicated(["method", "task", "image"]).any()


@pytest.mark.parametrize(("name", "merge"), [("visionzip", "code"), ("visionzip-paper", "paper")])
def test_verdicts_are_those_of_the_zipped_model_that_generates(pico, rows, name, merge):
    own = rows[(rows["method"] == name) & rows["image"].isin([f"scene {n}" for n in range(3)])]
    assert len(own) > 8
    with zip_model(pico.model, pico.processor, retain=64, merge=merge) as zipped:
        for row in own.itertuples():
            image = make(int(row.image.split()[1])).image
            said = answer(zipped.model, zipped.processor, image, row.question, max_new_tokens=4)
            assert (said == row.answer) == (row.score == 1), (row.question, said, row.answer)


def test_unknown_methods_and_impossible_budgets_are_refused_before_any_scene(pico, monkeypatch):
    monkeypatch.setattr(scenes, "make", lambda *_, **__: pytest.fail("made a scene"))
    with pytest.raises(ValueError, match="visonzip"):
        accuracy.answers(pico, [("visonzip", 64)], each=1)
    with pytest.raises(ValueError, match=r"577.*576"):
        accuracy.answers(pico, [("random", 577)], each=1)
