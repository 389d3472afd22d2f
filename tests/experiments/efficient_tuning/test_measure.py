"""Projectors are tuned, kept under a name, loaded by it, and asked."""

import pytest

from vzlib import notebooks, results
from vzlib.experiments.efficient_tuning import measure, tell
from vzlib.models.checkpoint import identity
from vzlib.models.load import load
from vzlib.results import artifacts

SMALL = {"each": 2, "budgets": (64,), "others": ("things",), "images": 4, "batch": 2, "asked": 1}


def settings(folder, **changes):
    return notebooks.settings("09_efficient_tuning", **{"model": folder, **SMALL, **changes})


def test_a_tuned_projector_is_another_model_with_a_name(reader_folder, own_store):
    chosen = settings(reader_folder)
    tunings = measure.tune(chosen)
    assert set(tunings["name"]) == {"projector-64", "projector-64-things"}
    assert tunings.groupby("name")["step"].apply(list).tolist() == [[1, 2], [1, 2]]
    assert (tunings["cpu_seconds"] > 0).all()
    rows = measure.measure(chosen)
    asked = set(rows.groupby(["data", "tuned_for", "budget"]).groups)
    own = {("nothing", 0, 576), ("nothing", 0, 64)}
    tuned = {("scenes", 64, 64), ("scenes", 64, 576), ("things", 64, 64)}
    assert asked == own | tuned
    assert tell.with_all(rows)["data"].tolist() == ["scenes"]
    gained = tell.gains(rows)
    assert gained["n"].tolist() == [10, 10] and gained["data"].tolist() == ["scenes", "things"]
    # By name, as any model: other weights, another identity, and no other part is changed.
    named = load(f"{reader_folder}+projector-64")
    stock = load(reader_folder)
    assert identity(named.checkpoint) != identity(reader_folder)
    differing = {
        name
        for (name, one), other in zip(
            named.model.state_dict().items(), stock.model.state_dict().values(), strict=True
        )
        if not one.equal(other)
    }
    assert differing and all("multi_modal_projector" in name for name in differing)
    # What was measured of it is found without a model being loaded again.
    with results.store_only():
        assert measure.measure(chosen).equals(rows)


def test_of_two_of_a_name_the_one_made_from_most_is_meant(reader_folder, own_store):
    for images in (4, 6, 2):
        measure.tune(settings(reader_folder, images=images, others=()))
    weights = identity(reader_folder).split(" ")[0]
    folder = artifacts.find("projector", "projector-64", weights)
    assert results.provenance_of(folder)["settings"]["images"] == 6
    assert artifacts.names("projector", weights) == ["projector-64"]
    assert artifacts.find("projector", "projector-64", "another") is None


def test_what_cannot_be_is_said_before_a_model_is_loaded(reader_folder, own_store, never_loads):
    never_loads()
    for changes, message in (
        ({"budgets": (576, 64)}, "budget 576 must be below 576"),
        ({"others": ("/nowhere.jsonl",)}, "nowhere"),
    ):
        with pytest.raises(ValueError, match=message):
            measure.tune(settings(reader_folder, **changes))
    with pytest.raises(ValueError, match="must be a multiple of batch=2"):
        settings(reader_folder, images=5)
    plan = measure.plan(settings(reader_folder, questions="things", others=("scenes", "things")))
    assert [one.name for one in plan] == ["projector-64", "projector-64-scenes"]
    with pytest.raises(
        ValueError, match=r"no projector 'projector-9' was tuned .* there are: none"
    ):
        identity(f"{reader_folder}+projector-9")
