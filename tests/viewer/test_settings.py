"""What is downloaded is what notebook 00 takes."""

import json

import pytest
import yaml

from vzlib import notebooks, plain_yaml
from vzlib.experiments.quickstart import measure
from vzlib.parameters import validate
from vzlib.paths import NOTEBOOKS
from vzlib.runs.kernel import execute, own_kernel
from vzlib.viewer import settings
from vzlib.viewer.pictures import Picture, example


def taken(text):
    """The settings of notebook 00 with this file, read in both ways that it is read."""
    values = plain_yaml.parse(text, "settings.yaml")
    assert values == yaml.safe_load(text)  # as papermill reads it
    cell = notebooks.defaults(NOTEBOOKS / f"{settings.NOTEBOOK}.ipynb")
    return validate("quickstart", cell | values)


@pytest.mark.parametrize(("method", "merge"), [("visionzip", "code"), ("visionzip-paper", "paper"),
                                               ("visionzip(merge=paper)", "paper")])  # fmt: skip
def test_a_photograph_is_asked_the_same(method, merge):
    picture = example("rocket")
    values = settings.parameters(picture, "dino", method, 77, "is there a camera ?", "yes")
    found = taken(settings.written(picture, method, values))
    assert (found.model, found.retain, found.merge) == ("dino", 77, merge)
    assert (found.photograph, found.photograph_question) == ("rocket", "is there a camera ?")
    assert found.photograph_answer == "no"  # the truth, and not what was answered


@pytest.mark.parametrize("name", ["scenes 5", "things 4"])
def test_a_scene_is_known_by_its_number_and_shows_the_same_image(name):
    picture = example(name)
    values = settings.parameters(picture, "pico", "visionzip", 64, "what ?", "x")
    found = taken(settings.written(picture, "visionzip", values))
    assert (found.questions, found.scene) == (name[:6], int(name[7:]))
    assert (measure.images(found)["scene"] == picture.image).all()


def test_another_method_and_an_own_image_are_said_in_comments():
    picture = Picture("no.png", example("rocket").image, (), {"photograph": "no.png"})
    values = settings.parameters(picture, "pico", "divprune", 9, "no: # what ?", "no")
    text = settings.written(picture, "divprune", values)
    found = taken(text)
    assert (found.photograph, found.photograph_question) == ("no.png", "no: # what ?")
    comments = " ".join(line for line in text.splitlines() if line.startswith("#"))
    assert "DivPrune" in comments and "'no.png'" in comments and "truth is not known" in comments


def test_a_folder_is_named_from_the_root(tiny_folder, monkeypatch):
    folder = tiny_folder()
    monkeypatch.chdir(f"{folder}/..")
    relative = folder.rpartition("/")[2]
    values = settings.parameters(example("rocket"), relative, "visionzip", 9, "what ?", "x")
    assert values["model"] == folder


@pytest.mark.slow
def test_the_notebook_runs_with_it_and_shows_the_same_image(scene_folder, own_store, tmp_path):
    picture = example("camera")
    values = settings.parameters(picture, scene_folder, "visionzip", 50, "what ?", "red")
    (tmp_path / "settings.yaml").write_text(settings.written(picture, "visionzip", values))
    given = yaml.safe_load((tmp_path / "settings.yaml").read_text())  # as papermill -f does
    with own_kernel() as config:
        execute(NOTEBOOKS / f"{settings.NOTEBOOK}.ipynb", given, tmp_path / "done.ipynb", config)
    done = json.loads((tmp_path / "done.ipynb").read_text(encoding="utf-8"))
    said = str([cell.get("outputs") for cell in done["cells"]])
    assert "576 → 50 visual tokens" in said and "photograph='camera'" in said
