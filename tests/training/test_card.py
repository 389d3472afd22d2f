"""What cards tell of training, also of one that went on from a checkpoint."""

import json

import pandas as pd
import pytest

from vzlib.training import card


def curve(*steps, seconds=1):
    return pd.DataFrame({"step": steps, "cpu_seconds": [seconds * s for s in steps], "loss": 0.5})


def trained(folder, **curves):
    folder.mkdir(exist_ok=True)
    for name, own in curves.items():
        lines = own.to_dict("records")
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))


def test_the_curves_of_a_whole_training_are_its_own_and_else_those_that_ship(tmp_path):
    target, folder = tmp_path / "target", tmp_path / "folder"
    target.mkdir()
    card.write_curves({"first": curve(0, 9), "second": curve(0, 4)}, target)
    trained(folder, first=curve(0, 19))
    shipped = card.training_curves(folder, target, ["first", "second"])
    assert shipped["first"]["step"].tolist() == [0, 9]  # half a training says nothing
    trained(folder, second=curve(0, 29))
    own = card.training_curves(folder, target, ["first", "second"])
    assert {name: one["step"].tolist() for name, one in own.items()} == {
        "first": [0, 19],
        "second": [0, 29],
    }


def test_a_training_that_went_on_from_a_checkpoint_follows_its_curves(tmp_path):
    folder = tmp_path / "folder"
    trained(folder, second=curve(0, 29))
    card.write_curves({"first": curve(0, 9), "second": curve(0, 4, seconds=3)}, folder)
    for target in (tmp_path / "nowhere", folder):
        told = card.training_curves(folder, target, ["first", "second"])
        assert told["first"]["step"].tolist() == [0, 9]
        assert told["second"]["step"].tolist() == [0, 4, 5, 34]
        assert told["second"]["cpu_seconds"].tolist() == [0, 12, 12, 41]
    assert card.hours(told) == pytest.approx(50 / 3600)


def test_a_stage_that_was_stopped_early_is_named():
    curves = {"first": curve(0, 9), "second": curve(0, 4)}
    assert card.unfinished(curves, {"first": 10, "second": 5}) == ""
    told = card.unfinished(curves, {"first": 10, "second": 50})
    assert told == "**Training is not finished**: second after some 5 of 50 steps. "
