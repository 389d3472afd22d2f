"""Questions in the words of another image: who gets whose, and what a model keeps for them."""

import numpy as np
import pandas as pd
import pytest

from vzlib.evaluation.questions import Asked, Question
from vzlib.experiments.misalignment_ablation import measure, measure_permuted, tell
from vzlib.models import load
from vzlib.notebooks import settings

IMAGE = np.zeros((8, 8, 3), dtype=np.uint8)


def asked(*names):
    """One question of a task for each, but for "b" two."""
    return [
        Asked(name, IMAGE, tuple(
            Question("reading", f"{name}{n} ?", (f"{name}{n}",), (n,))
            for n in range(2 if name == "b" else 1)
        ))
        for name in names
    ]  # fmt: skip


def test_words_come_from_the_next_image_and_objects_stay():
    one, two, three = measure_permuted.permuted(asked("a", "b", "c"))
    assert [q.text for q in (*one.questions, *two.questions, *three.questions)] == [
        "b0 ?", "c0 ?", "c0 ?", "a0 ?",
    ]  # fmt: skip
    assert [q.id for q in two.questions] == ["b0 ?", "b1 ?"]
    assert [q.objects for q in two.questions] == [(0,), (1,)]
    assert three.questions[0].answers == ("a0",)


def test_a_task_about_one_image_alone_is_left_out():
    assert measure_permuted.permuted(asked("b")) == []


def test_the_difference_is_paired_and_over_images():
    names = ["task", "image", "question", "dominant", "covered"]
    own = pd.DataFrame(
        [("t", "a", "?", 30.0, 100.0), ("t", "b", "?", 10.0, np.nan), ("t", "c", "?", 20.0, 50.0)],
        columns=names,
    ).assign(selector="fastv", condition="baseline")
    other = own.drop(columns="condition").assign(dominant=own["dominant"] - 5, covered=25.0)
    table = tell.relevance(own, other).set_index("of")
    assert table.loc["dominant", ["value", "low", "high", "own", "other", "n"]].tolist() == [
        5.0, 5.0, 5.0, 20.0, 15.0, 3,
    ]  # fmt: skip
    assert table.loc["covered", ["value", "n"]].tolist() == [50.0, 2]


def test_a_model_is_asked_once_and_about_the_same_questions(deep_folder, own_store, monkeypatch):
    chosen = settings("05_misalignment_ablation", model=deep_folder, each=3, seeds=(0,),
                      selectors=("sparsevlm",))  # fmt: skip
    rows = measure_permuted.measure(chosen)
    own = measure.measure(chosen).query("selector == 'sparsevlm' and condition == 'baseline'")
    keys = ["task", "image", "question"]
    assert set(rows[keys].itertuples(index=False)) == set(own[keys].itertuples(index=False))
    assert rows["chance"].to_numpy() == pytest.approx(100 * 64 / 576)
    assert set(tell.relevance(own, rows)["of"]) == {"dominant", "covered"}
    monkeypatch.setattr(load, "load", None)
    load._loaded.cache_clear()
    pd.testing.assert_frame_equal(rows, measure_permuted.measure(chosen))
