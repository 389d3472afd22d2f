"""Ex1 and Ex2: what is offered, what is kept and where it came from; effects on made-up answers."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from transformers import LlamaModel

from tests import tiny
from vzlib import scenes
from vzlib.evaluation.evaluate import Verdict
from vzlib.evaluation.questions import Asked, Question
from vzlib.experiments.misalignment_ablation import measure as misalignment_ablation
from vzlib.experiments.misalignment_ablation import tell as misalignment_effects
from vzlib.experiments.misalignment_ablation.conditions import inside, offer
from vzlib.experiments.misalignment_ablation.settings import MisalignmentAblation
from vzlib.methods.inside.schedule import Shape, visual_by_layer
from vzlib.methods.registry import method
from vzlib.methods.sparsevlm import SparseVLM
from vzlib.models import load
from vzlib.tokens import BudgetError
from vzlib.tokens.evidence import Encoded

PICO = Shape(6, 576)
SIZES = {"removed": 50, "offered": 128, "kept": 64}
TASKS = ("reading", "counting")


@pytest.fixture(scope="module")
def deep_folder(tmp_path_factory):
    """A tiny LLaVA of 24 x 24 patches whose language model has layers for SparseVLM's stages."""
    model, processor = tiny.llava()
    model.config.text_config.num_hidden_layers = 5
    model.config.text_config.layer_types = None
    torch.manual_seed(1)
    model.model.language_model = LlamaModel(model.config.text_config).eval()
    folder = tmp_path_factory.mktemp("deep")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


def encoded(batch=2, tokens=577, seed=0):
    generator = torch.Generator().manual_seed(seed)
    hidden, keys = (torch.randn(batch, tokens, 8, generator=generator) for _ in range(2))
    return Encoded(hidden, torch.rand(batch, tokens, generator=generator), keys)


def made_up(accuracies, images=400, seed=0):
    """Rows as `measure` gives them: scores of one selector, every condition on the same images."""
    random = np.random.default_rng(seed)
    ease = {task: random.random(images) for task in TASKS}
    rows = []
    for condition in misalignment_ablation.CONDITIONS:
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


@pytest.mark.parametrize(
    ("condition", "count"),
    [("baseline", 576), ("ex1", 526), ("ex1 random", 526), ("ex2", 128), ("ex2 random", 128)],
)
def test_what_is_offered_are_the_patches_it_says(condition, count):
    image, chosen = encoded(), offer(condition, cls=True, **SIZES)
    tokens = chosen(image, 0)
    assert chosen.patches.shape == (2, count) and (chosen.patches.diff(dim=1) > 0).all()
    for row in range(2):
        assert torch.equal(tokens[row], image.hidden[row, chosen.patches[row] + 1])


def test_ex1_offers_all_but_the_most_attended_and_ex2_nothing_but_them():
    image = encoded(1)
    ranked = image.scores[0, 1:].argsort(descending=True).tolist()
    for condition, expected in (("ex1", ranked[50:]), ("ex2", ranked[:128])):
        chosen = offer(condition, cls=True, **SIZES)
        chosen(image, 0)
        assert chosen.patches[0].tolist() == sorted(expected)


def test_random_patches_follow_the_seed_and_differ_between_images():
    chosen, drawn = offer("ex2 random", cls=False, **SIZES), []
    for seed in (0, 0, 1):
        chosen(encoded(tokens=576), seed)
        drawn.append(chosen.patches)
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0][0], drawn[0][1])


@pytest.mark.parametrize(("condition", "count"), [("ex2 zipped", 128), ("visionzip", 64)])
def test_tokens_of_visionzip_are_those_of_the_registered_method(condition, count):
    image, chosen = encoded(), offer(condition, cls=True, **SIZES)
    expected = method("visionzip")(image, count, has_cls=True, seed=0)
    assert torch.equal(chosen(image, 0), expected)
    assert (chosen.patches[:, 0] == -1).all() and (chosen.patches[:, 1:] >= 0).all()
    own = torch.stack([image.hidden[row, chosen.patches[row] + 1] for row in range(2)])
    dominant = round(count * 54 / 64)
    assert torch.equal(chosen(image, 0)[:, :dominant], own[:, :dominant])


@pytest.mark.parametrize("selector", ["sparsevlm", "fastv"])
@pytest.mark.parametrize("whole", [PICO, Shape(32, 576), Shape(5, 144)])
def test_every_condition_ends_alike_and_prunes_at_the_same_layers(selector, whole):
    kept = whole.visual // 9
    schedules = {}
    for offered in (whole.visual, whole.visual * 526 // 576, 2 * kept):
        stages = inside(selector, kept, offered, whole).stages(whole.layers, offered)
        assert visual_by_layer(stages, whole.layers, offered)[-1] == kept
        schedules[offered] = [stage.layer for stage in stages]
        for stage, first in zip(stages[:-1], schedules.setdefault("keep", stages), strict=False):
            assert stage.keep == min(first.keep, offered)
    del schedules["keep"]
    assert len(set(map(tuple, schedules.values()))) == 1


def test_eighteen_at_the_end_is_about_the_released_list_named_64():
    keep = inside("sparsevlm", 18, 576, Shape(32, 576)).keep
    assert np.allclose(keep, SparseVLM.released(64).keep, rtol=0.04)


def test_too_few_layers_are_refused_before_anything_is_loaded(scene_folder, own_store, monkeypatch):
    monkeypatch.setattr(load, "load", None)
    with pytest.raises(BudgetError, match="at least 4 layers, not 3"):
        misalignment_ablation.measure(MisalignmentAblation(model=scene_folder))


@pytest.mark.parametrize("wrong", [{"kept": 128}, {"offered": 576}, {"removed": 520}])
def test_counts_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ValidationError, match="must be below offered"):
        MisalignmentAblation(**wrong)


def test_measured_rows_are_of_the_same_questions_and_come_from_the_store(
    deep_folder, own_store, monkeypatch
):
    settings = MisalignmentAblation(model=deep_folder, each=2, seeds=(0, 1))
    rows = misalignment_ablation.measure(settings)
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
    pd.testing.assert_frame_equal(rows, misalignment_ablation.measure(settings))


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
    settings = MisalignmentAblation(
        model=deep_folder, questions=str(file), each=2, seeds=(0,), selectors=("sparsevlm",)
    )
    rows = misalignment_ablation.measure(settings)
    assert set(rows["task"]) == {"own"} and rows["covered"].isna().all()
    assert rows.groupby("condition")["image"].agg(tuple).nunique() == 1
    assert len(misalignment_effects.overlap(rows)) == 8
    file.write_text('{"image": "missing.png", "question": "?", "answer": "red"}')
    with pytest.raises(ValueError, match=r"missing\.png"):
        misalignment_ablation.measure(settings)


def test_kept_tokens_are_traced_to_dominant_patches_and_things():
    scene = scenes.make(0)
    things = tuple(range(2))
    masks = [np.flatnonzero(scene.object_patches(number)) for number in things]
    bare = np.setdiff1d(np.arange(576), np.concatenate(masks))
    offered = np.concatenate([[-1], masks[0][:1], bare[:3]])  # CLS, one of a thing, three others
    asked = Asked("scene", scene.image, (Question("t", "?", ("a",), things),) * 3, scene)

    def kept(*places):
        return Verdict(1.0, (5, len(places)), (torch.arange(5), torch.tensor(places)))

    verdicts = [kept(0, 1, 2), kept(3, 4), Verdict(0.0, (5, 5))]
    found = list(
        misalignment_ablation._rows(asked, verdicts, offered, dominant=bare[:1], patches=576)
    )
    by_layer, dominant, chance, covered = zip(*(row[-4:] for row in found), strict=True)
    assert by_layer == ("5/3", "5/2", "5/5")
    assert dominant == (50, 0, 25) and chance == (25, 25, 25)
    assert covered == (50, 0, 50)


def test_what_asks_about_nothing_has_no_coverage():
    scene = scenes.make(0)
    nothing, unknown = Question("t", "?", ("no",)), Question("t", "?", ("a",), (0,))
    everything = np.arange(576)
    known = Asked("scene", scene.image, (nothing,), scene)
    assert np.isnan(misalignment_ablation._covered(known, nothing, everything, 576))
    file = Asked("file", scene.image, (unknown,))
    assert np.isnan(misalignment_ablation._covered(file, unknown, everything, 576))


def test_effects_are_differences_in_points_and_percent():
    rows = made_up({"baseline": 0.8, "ex1": 0.6})
    table = misalignment_effects.effects(rows)
    means = table[table["task"] == "mean"].set_index(["one", "other"])
    effect = means.loc[("ex1", "baseline")]
    accuracy = rows.groupby("condition")["score"].mean()
    assert effect["value"] == pytest.approx(100 * (accuracy["ex1"] - accuracy["baseline"]))
    assert effect["percent"] == pytest.approx(100 * (accuracy["ex1"] / accuracy["baseline"] - 1))
    assert effect["percent_low"] < effect["percent"] < effect["percent_high"] < 0
    assert effect["holm"] == pytest.approx(min(1, 8 * effect["p"]))
    assert means.loc[("ex2", "baseline"), "value"] == 0
    assert effect["n"] == 800


def test_the_interval_in_percent_covers_the_truth():
    truth, covers = 100 * (0.6 / 0.8 - 1), 0
    random = np.random.default_rng(0)
    for _ in range(200):
        hard = random.random(150)
        table = pd.concat(
            pd.DataFrame({"condition": name, "score": (hard < right).astype(float)})
            for name, right in (("ex1", 0.6), ("baseline", 0.8))
        )
        table = table.assign(task="reading", question="?", image=[*range(150)] * 2)
        points = 100 * ((hard < 0.6).mean() - (hard < 0.8).mean())
        interval = misalignment_effects._percent(table, "ex1", "baseline", points)
        covers += interval.low <= truth <= interval.high
    assert 180 <= covers <= 198


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
    table = misalignment_effects.effects(made_up({"baseline": 0.8, **accuracies}))
    found = misalignment_effects.verdicts(table)
    assert found["paper"].tolist() == [-9.2, 2.7]
    (ex1, ex2) = found[["verdict", "which"]].to_numpy().tolist()
    assert (*ex1, *ex2) == expected


def test_the_other_reading_of_ex2_is_judged_where_asked_for():
    table = misalignment_effects.effects(made_up({"baseline": 0.8, "ex2 zipped": 0.9}))
    by_reading = [
        misalignment_effects.verdicts(table, ex2)["verdict"].iloc[1]
        for ex2 in ("dominant", "zipped")
    ]
    assert by_reading == ["not found", "found"]


def test_the_conclusion_warns_where_the_baseline_knows_nothing():
    able = misalignment_effects.conclusion(made_up({"baseline": 0.8}))
    assert "Mind" not in able
    assert "5.0 % are dominant, less than chance (10.0 %)" in able
    assert "Mind: with sparsevlm" in misalignment_effects.conclusion(made_up({"baseline": 0.5}))


def test_coverage_is_per_question_and_empty_where_no_thing_is_known():
    rows = made_up({"baseline": 0.8}, images=10)
    table = misalignment_effects.coverage(rows)
    assert (table["value"] == 50).all() and set(table["n"]) == {10, 20}
    assert misalignment_effects.coverage(rows.assign(covered=np.nan)).empty
    assert "covers" not in misalignment_effects.conclusion(rows.assign(covered=np.nan))
