"""Every question under every condition: rows, their store, and where each kept token came from."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from vzlib import scenes
from vzlib.evaluation.evaluate import Verdict
from vzlib.evaluation.questions import Asked, Question
from vzlib.experiments.misalignment_ablation import measure, tell
from vzlib.models import load
from vzlib.notebooks import settings
from vzlib.parameters import ParameterError
from vzlib.tokens import BudgetError

NOTEBOOK = "05_misalignment_ablation"


def test_too_few_layers_are_refused_before_anything_is_loaded(scene_folder, own_store, monkeypatch):
    monkeypatch.setattr(load, "load", None)
    with pytest.raises(BudgetError, match="at least 4 layers, not 3"):
        measure.measure(settings(NOTEBOOK, model=scene_folder))


@pytest.mark.parametrize("wrong", [{"kept": 128}, {"offered": 576}, {"removed": 520}])
def test_counts_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ParameterError, match="must be below offered"):
        settings(NOTEBOOK, **wrong)


def test_measured_rows_are_of_the_same_questions_and_come_from_the_store(
    deep_folder, own_store, monkeypatch
):
    chosen = settings(NOTEBOOK, model=deep_folder, each=2, seeds=(0, 1))
    rows = measure.measure(chosen)
    asked = rows.groupby(["selector", "condition", "seed"])["question"].agg(tuple)
    assert asked.nunique() == 1 and asked.map(len).eq(10).all()
    ends = rows["by_layer"].str.rpartition("/")[2].astype(int)
    assert (ends == 64).all()
    chance = rows.drop_duplicates("condition").set_index("condition")["chance"]
    assert chance["baseline"] == pytest.approx(100 * 64 / 576)
    assert chance["ex1"] == pytest.approx(100 * 14 / 526)
    assert chance["ex2"] == 50
    drawn = rows.groupby("condition")["seed"].nunique()
    assert drawn["random"] == 2 and drawn["visionzip"] == 1
    once = rows[rows["selector"] == "fastv"].groupby("condition")["seed"].nunique()
    assert once["ex1"] == 1 and once["ex1 random"] == 2
    monkeypatch.setattr(load, "load", None)
    load._loaded.cache_clear()
    pd.testing.assert_frame_equal(rows, measure.measure(chosen))


def test_questions_from_a_file_are_measured_without_coverage(deep_folder, own_store, tmp_path):
    scene = scenes.make(0)
    Image.fromarray(scene.image).save(tmp_path / "scene.png")
    Image.fromarray(scene.image[::-1]).save(tmp_path / "turned.png")
    file = tmp_path / "own.jsonl"
    records = [
        {"image": f"{name}.png", "question": "what colour ?", "answer": "red"}
        for name in ("scene", "turned")
    ]
    file.write_text("\n".join(map(json.dumps, records)))
    chosen = settings(
        NOTEBOOK,
        model=deep_folder,
        questions=str(file),
        each=2,
        seeds=(0,),
        selectors=("sparsevlm",),
    )
    rows = measure.measure(chosen)
    assert set(rows["task"]) == {"own"} and rows["covered"].isna().all()
    assert rows.groupby("condition")["image"].agg(tuple).nunique() == 1
    assert len(tell.overlap(rows)) == 8
    file.write_text('{"image": "missing.png", "question": "?", "answer": "red"}')
    with pytest.raises(ValueError, match=r"missing\.png"):
        measure.measure(chosen)


def test_kept_tokens_are_traced_to_dominant_patches_and_things():
    scene = scenes.make(0)
    things = tuple(range(2))
    masks = [np.flatnonzero(scene.object_patches(number)) for number in things]
    bare = np.setdiff1d(np.arange(576), np.concatenate(masks))
    places = np.concatenate([[-1], masks[0][:1], bare[:3]]) + 1  # CLS, one of a thing, three others
    given = torch.tensor(places)
    asked = Asked("scene", scene.image, (Question("t", "?", ("a",), things),) * 3, scene)

    def kept(*places):
        return Verdict(1.0, (5, len(places)), (given, given[list(places)]))

    verdicts = [kept(0, 1, 2), kept(3, 4), kept(0, 1, 2, 3, 4)]
    found = list(measure.traced(asked, verdicts, dominant=bare[:1] + 1, cls=1, patches=576))
    by_layer, dominant, chance, covered = zip(*(row[-4:] for row in found), strict=True)
    assert by_layer == ("5/3", "5/2", "5/5")
    assert dominant == (50, 0, 25) and chance == (25, 25, 25)
    assert covered == (50, 0, 50)


def test_what_asks_about_nothing_has_no_coverage():
    scene = scenes.make(0)
    nothing, unknown = Question("t", "?", ("no",)), Question("t", "?", ("a",), (0,))
    everything = np.arange(576)
    known = Asked("scene", scene.image, (nothing,), scene)
    assert np.isnan(measure._covered(known, nothing, everything, 576))
    file = Asked("file", scene.image, (unknown,))
    assert np.isnan(measure._covered(file, unknown, everything, 576))
