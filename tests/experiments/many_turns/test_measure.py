"""Dialogues of tiny models: every question in every turn, stored, refused before anything loads."""

import json

import pandas as pd
import pytest

from tests import tiny
from vzlib.experiments.many_turns import dialogues, measure, measure_speed
from vzlib.methods.accountant import account
from vzlib.models import load
from vzlib.notebooks import settings
from vzlib.parameters import ParameterError

NOTEBOOK = "12_many_turns"


def chosen(folder, **changes):
    few = {"images": 2, "turns": 3, "methods": ["visionzip", "fastv"], "budgets": [400]}
    return settings(NOTEBOOK, model=folder, **few | changes)


def test_every_question_stands_in_every_turn_once(scene_sized, own_store, never_loads):
    rows = measure.measure(chosen(scene_sized))
    ways = rows.groupby(["method", "history"])
    assert set(ways.groups) == {("vanilla", "dropped"), ("vanilla", "kept"),
                                ("visionzip", "dropped"), ("fastv", "dropped")}  # fmt: skip
    for _, own in ways:
        asked = own.groupby("turn")[["image", "question"]].agg(lambda one: sorted(one))
        assert len(own) == 2 * 3 * 3 and asked.astype(str).nunique().eq(1).all()
        begins = own[own["turn"] == 1]
        assert (begins["first"] == begins["question"]).all()
        assert (own[own["turn"] > 1]["first"] != own[own["turn"] > 1]["question"]).all()
    spent = rows.groupby("method")["visual"].unique().explode()
    assert spent["visionzip"] == 400 and spent["fastv"] == pytest.approx(400, rel=0.05)
    # What was chosen before any question and forgets each is as good as fresh.
    zipped = rows[rows["method"] == "visionzip"]
    assert zipped.groupby(["image", "question"])["said"].nunique().eq(1).all()
    never_loads()
    pd.testing.assert_frame_equal(rows, measure.measure(chosen(scene_sized)))


def test_a_first_turn_costs_what_a_prefill_costs_and_a_later_one_its_own_tokens():
    model, _ = tiny.llava(image_size=48)
    layers = model.config.text_config.num_hidden_layers
    whole = account(model, text=10, visual=36).flops
    assert measure.turn_flops(model, [46] * layers, [0] * layers) == whole
    both = measure.turn_flops(model, [6] * layers, [40] * layers)
    first = measure.turn_flops(model, [40] * layers, [0] * layers)
    assert first + both < whole  # masked pairs of a prefill count, those of two turns do not
    width = model.config.text_config.hidden_size
    assert whole - first - both == layers * 2 * 40 * 6 * width


def test_a_method_that_chooses_by_the_question_keeps_what_the_first_one_chose(
    scene_sized, own_store
):
    rows = measure.measure(chosen(scene_sized, methods=["cdpruner"], budgets=[64]))
    own = rows[rows["method"] == "cdpruner"]
    assert len(own) == 18 and (own["visual"] == 64).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"turns": 6}, "turns=6: scenes have 5 tasks"),
        ({"budgets": [576]}, "budget 576 must be below 576"),
        ({"methods": ["pyramiddrop"]}, "at least 4 layers, not 3"),
    ],
)
def test_what_cannot_be_is_refused_before_a_model_is_loaded(
    scene_sized, own_store, never_loads, changes, message
):
    never_loads()
    with pytest.raises(ValueError, match=message):
        measure.measure(chosen(scene_sized, **changes))


@pytest.mark.parametrize("wrong", [{"turns": 1}, {"history": "lost"}, {"methods": ["fastvv"]}])
def test_settings_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        settings(NOTEBOOK, **wrong)


def test_a_budget_out_of_reach_is_left_out():
    names = [point["method"] for point in measure.plan(settings(NOTEBOOK, budgets=[64]))]
    assert names == ["vanilla", "vanilla", "visionzip"]


def test_files_are_asked_image_by_image(tmp_path):
    for name in ("one", "two"):
        tiny.image().save(tmp_path / f"{name}.png")
    records = [{"image": f"{name}.png", "question": f"how many {n} ?", "answer": "red"}
               for name in ("one", "two") for n in range(3)]  # fmt: skip
    file = tmp_path / "own.jsonl"
    file.write_text("\n".join(map(json.dumps, records)))
    asked = dialogues.read(str(file), 5, 2)
    assert [len(one.questions) for one in asked] == [2, 2]
    assert dialogues.relation(asked[0], *asked[0].questions) == "unknown"
    with pytest.raises(ValueError, match="has 0 images with so many questions"):
        dialogues.read(str(file), 5, 4)


def test_scenes_ask_about_the_same_thing_or_another():
    found = set()
    for one in dialogues.read("scenes", 6, 4):
        assert len({question.task for question in one.questions}) == 4
        assert [talk[0] for talk in dialogues.rotations(one)] == list(one.questions)
        first, *others = one.questions
        for other in others:
            shared = set(first.objects) & set(other.objects)
            about = dialogues.relation(one, first, other)
            assert about == ("the same thing" if shared else "another thing")
            found.add(about)
    assert len(found) == 2
    tasks = [{q.task for q in one.questions} for one in dialogues.read("scenes", 10, 4)]
    assert len({frozenset(own) for own in tasks}) > 1  # which one is left out takes turns


def test_times_are_of_every_turn_kept_and_fresh(scene_sized, own_store):
    times = measure_speed.measure(chosen(scene_sized), rounds=2)
    assert set(times["stage"]) == {"image", "turn 1", "turn 2", "turn 3"}
    assert times.groupby(["method", "cache", "stage"]).size().eq(2).all()
    assert set(times["cache"]) == {"cache kept", "fresh prefill"} and (times["seconds"] > 0).all()
    assert load._loaded.cache_info().currsize == 1
