"""Language models are trained, asked and stored, with fewer tokens and with all."""

import pytest
import torch

from vzlib import notebooks, results
from vzlib.experiments.training_stage import measure, tell
from vzlib.models.load import load
from vzlib.training.start import language_parts, shrink


def settings(folder, **changes):
    small = {"model": folder, "each": 2, "budgets": (64,), "images": 4, "batch": 2, "asked": 1,
             "steps": 3, "seeds": (0, 1), "same_time": True}  # fmt: skip
    return notebooks.settings("10_training_stage", **small | changes)


def test_trainings_with_fewer_and_with_all_tokens(reader_folder, own_store, monkeypatch):
    monkeypatch.setattr(measure, "times_as_fast", lambda *_: 1.7)  # three steps tell no time
    chosen = settings(reader_folder)
    courses, answers = measure.measure(chosen)
    steps = courses.groupby(["trained_with", "same", "seed"])["step"].max()
    assert steps.to_dict() == {
        (576, "steps", 0): 3, (576, "steps", 1): 3, (64, "steps", 0): 3, (64, "steps", 1): 3,
        (64, "time", 0): 5, (64, "time", 1): 5,
    }  # fmt: skip
    asked = set(answers.groupby(["trained_with", "same", "budget"]).groups)
    assert asked == {(576, "steps", 576), (576, "steps", 64), (64, "steps", 64), (64, "time", 64)}
    by_seed = courses[courses["same"] == "steps"].pivot(
        index=["trained_with", "step"], columns="seed", values="loss"
    )
    assert not (by_seed[0] == by_seed[1]).any()  # another start
    used = measure.memory(chosen).set_index("trained_with")["bytes"]
    assert used[576] > used[64] > 0
    assert tell.gains(answers)["seeds"].tolist() == [2, 2]
    with results.store_only():
        assert measure.courses(chosen).equals(courses)


def test_budgets_are_refused_before_a_model_is_loaded(reader_folder, own_store, never_loads):
    never_loads()
    with pytest.raises(ValueError, match="budget 576 must be below 576, the patches"):
        measure.measure(settings(reader_folder, budgets=(576,)))


def test_the_time_of_a_step_is_the_processors_on_a_cpu():
    from tests.experiments.training_stage.made_up import courses

    table = courses()
    found = [
        (measure.Arm(tokens, 12, 0, "steps"), own) for tokens, own in table.groupby("trained_with")
    ]
    assert measure.times_as_fast(found, 576, 128) == pytest.approx(3, rel=0.02)


def test_a_start_between_the_models_own_weights_and_fresh_ones(reader_folder):
    own, whole, none, again, other = (load(reader_folder).model for _ in range(5))
    for model, remembered, seed in (
        (whole, 1.0, 0),
        (none, 0.0, 0),
        (again, 0.0, 0),
        (other, 0.0, 1),
    ):
        before = torch.random.get_rng_state()
        shrink(model, language_parts(model), remembered, seed)
        assert before.equal(torch.random.get_rng_state())  # other draws stay as they were
    weight = "model.language_model.layers.0.self_attn.q_proj.weight"
    states = [model.state_dict() for model in (own, whole, none, again, other)]
    assert states[0][weight].equal(states[1][weight])
    assert states[2][weight].equal(states[3][weight])
    assert not states[2][weight].equal(states[0][weight])
    assert not states[2][weight].equal(states[4][weight])
    kept = [name for name in states[0] if "projector" in name or "vision_tower" in name]
    assert kept and all(states[0][name].equal(states[2][name]) for name in kept)
