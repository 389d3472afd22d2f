"""A sweep file is checked as a whole, with every problem told at once, before anything runs."""

import os
import subprocess
import sys

import pytest
import yaml

from vzlib import notebooks
from vzlib.paths import NOTEBOOKS, PARAMETERS
from vzlib.runs.sweep import sweep_file

GOOD = {
    "notebook": "06_token_budget",
    "fixed": {"each": 24},
    "grid": {"budgets": [[64], [32]], "seeds": [[0], [1]]},
    "draw": {"budgets": [64, 32], "seeds": [0, 1]},
    "group": 2,
}


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Function: read a sweep file of that content, without any model."""
    monkeypatch.setattr(sweep_file, "_versions", lambda model, questions: {"model": str(model)})

    def read(content):
        path = tmp_path / "tried.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return sweep_file.read(path)

    return read


def test_a_point_for_every_combination(read):
    sweep = read(GOOD)
    assert (sweep.name, sweep.notebook) == ("tried", NOTEBOOKS / "06_token_budget.ipynb")
    assert [(p.settings.budgets, p.settings.seeds) for p in sweep.points] == [
        ((64,), (0,)),
        ((64,), (1,)),
        ((32,), (0,)),
        ((32,), (1,)),
    ]
    assert all(p.settings.each == 24 for p in sweep.points)
    assert sweep.points[1].values == {"each": 24, "budgets": [64], "seeds": [1]}
    assert sweep.points[1].label == f"budgets=64,seeds=1-{sweep.points[1].key[:12]}"
    assert sweep.draw == {"each": 24, "budgets": [64, 32], "seeds": [0, 1]}
    assert [len(job) for job in sweep_file.jobs(sweep.points[:3], 2)] == [2, 1]
    assert len({p.key for p in sweep.points}) == 4


def test_the_key_is_that_of_the_settings_however_they_are_written(read):
    before = {p.key for p in read(GOOD).points}
    assert {p.key for p in read({**GOOD, "group": 1, "draw": None}).points} == before
    said = {**GOOD, "fixed": {"each": 24, "equalise": "layer average"}}  # the notebook's default
    assert {p.key for p in read(said).points} == before
    other = {**GOOD, "fixed": {"each": 25}}
    assert not {p.key for p in read(other).points} & before


def test_relative_paths_count_from_where_the_command_was_typed(read, tmp_path, monkeypatch):
    (tmp_path / "models" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    grid = {"questions": ["scenes", "q #1.jsonl", "../q.jsonl", "/data/q.jsonl", "~/q.jsonl"]}
    models = {"model": "models/mine"}
    sweep = read({**GOOD, "fixed": models, "grid": grid, "draw": {"questions": "drawn.jsonl"}})
    own = [point.settings.questions for point in sweep.points]
    here, above = str(tmp_path / "q #1.jsonl"), str(tmp_path / "../q.jsonl")
    assert own == ["scenes", here, above, "/data/q.jsonl", os.path.expanduser("~/q.jsonl")]
    assert [point.values["questions"] for point in sweep.points] == own  # what a job is given
    assert {point.settings.model for point in sweep.points} == {str(tmp_path / "models/mine")}
    drawn = {"model": str(tmp_path / "models/mine"), "questions": str(tmp_path / "drawn.jsonl")}
    assert sweep.draw == drawn
    assert sweep.points[1].label.startswith("questions=q_1.jsonl-")  # as it was typed
    hub = read({**GOOD, "fixed": {"model": "llava-hf/llava-1.5-7b-hf"}})
    assert hub.points[0].settings.model == "llava-hf/llava-1.5-7b-hf"


def test_a_home_that_nobody_knows_is_one_problem(read):
    with pytest.raises(sweep_file.SweepError, match=r"(?s)1 problem with .*nobody knows that home"):
        read({**GOOD, "fixed": {"questions": "~nobodyatall/q.jsonl"}})


def test_every_problem_is_told_at_once(read):
    bad = {
        "notebook": "06_token_budgit",
        "fixd": {},
        "group": 0,
        "grid": {"budgets": [], "seeds": [[0], [0]]},
        "fixed": {"seeds": [1]},
    }
    with pytest.raises(sweep_file.SweepError) as caught:
        read(bad)
    text = str(caught.value)
    assert text.startswith("6 problems with ")
    assert "fixd: unknown; did you mean fixed?" in text
    assert "notebook: 06_token_budgit: unknown; did you mean 06_token_budget?" in text
    assert "group = 0: allowed are whole numbers from 1" in text
    assert "grid: budgets = []; allowed: a list of at least one value" in text
    assert "grid: seeds has a value twice" in text
    assert "seeds is both fixed and in the grid" in text


def test_every_wrong_parameter_is_told_once(read):
    bad = {
        **GOOD,
        "fixed": {"eech": 24, "_private": 1, "each": 1},
        "grid": {"budgets": [[64], 32], "seeds": [[0], [1]]},
        "draw": {"bugdets": [64]},
    }
    with pytest.raises(sweep_file.SweepError) as caught:
        read(bad)
    text = str(caught.value)
    assert text.count("_private: unknown") == 1
    assert text.count("eech: unknown; did you mean each?") == 1
    assert text.count("each = 1: Input should be greater than or equal to 2") == 1
    assert text.count("budgets = 32: Input should be a valid array") == 1
    assert text.count("bugdets: unknown; did you mean budgets?") == 1
    assert text.startswith("5 problems")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[1, 2]", "holds a list; allowed: name: value lines"),
        ("a: [", "tried.yaml, line 1, column 5: "),
        ({"notebook": "06_token_budget"}, "grid is empty"),
        ({**GOOD, "fixed": 3}, "fixed holds 3; allowed: name: value lines"),
        ({**GOOD, "grid": [1]}, r"grid holds \[1\]; allowed: name: value lines"),
    ],
)
def test_files_of_another_shape(read, content, problem):
    with pytest.raises(sweep_file.SweepError, match=problem):
        read(content)


def test_a_model_that_does_not_exist_is_a_problem(tmp_path):
    path = tmp_path / "tried.yaml"
    path.write_text(yaml.safe_dump({**GOOD, "fixed": {"model": "/nowhere"}}))
    with pytest.raises(sweep_file.SweepError, match=r"1 problem with .*\n.*nowhere"):
        sweep_file.read(path)


def test_a_wrong_file_stops_the_command_before_anything_is_written(tmp_path):
    path = tmp_path / "tried.yaml"
    path.write_text(yaml.safe_dump({**GOOD, "fixed": {"each": 1}, "grid": {"bugdets": [[64]]}}))
    environment = {**os.environ, "VZLIB_RESULTS": str(tmp_path / "results")}
    done = subprocess.run(
        [sys.executable, "-m", "vzlib", "sweep", str(path)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "bugdets: unknown; did you mean budgets?" in done.stderr
    assert "each = 1: Input should be greater than or equal to 2." in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "path", sorted((PARAMETERS / "sweeps").glob("*.yaml")), ids=lambda p: p.stem
)
def test_the_sweeps_of_the_repository_are_allowed(path, read):
    sweep = read(path.read_text())
    assert len(sweep.points) > 1
    notebooks.settings(sweep.notebook.stem, **sweep.draw)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("!!binary aGVsbG8=", "tag"),
        ("!!set {a: null}", "tag"),
        ("!!python/object:os.system {}", "tag"),
        ("[a]\n  photograph_answer: [b]", "twice"),
    ],
)
def test_what_is_no_plain_value_is_refused_with_the_place(tmp_path, value, problem):
    path = tmp_path / "odd.yaml"
    path.write_text(f"notebook: 00_quickstart\ngrid:\n  photograph_answer: {value}\n")
    with pytest.raises(sweep_file.SweepError, match=problem) as error:
        sweep_file.read(path)
    assert "odd.yaml, line" in str(error.value)


def test_dates_times_and_words_are_the_texts_that_were_typed(tmp_path):
    path = tmp_path / "odd.yaml"
    typed = ["2024-01-01", "2024-01-01T10:00:00", "12:30", "no", "0x10", "007"]
    path.write_text(f"notebook: 00_quickstart\ngrid: {{photograph_answer: [{', '.join(typed)}]}}\n")
    points = sweep_file.read(path).points
    assert [point.settings.photograph_answer for point in points] == typed
