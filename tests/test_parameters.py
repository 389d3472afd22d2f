"""Notebook parameters are strict, and say what is wrong before torch is imported."""

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any, Literal

import nbformat
import papermill
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook
from pydantic import BaseModel, Field

from vzlib import parameters
from vzlib.parameters import ParameterError, validate
from vzlib.paths import NOTEBOOKS, REPOSITORY
from vzlib.runs.kernel import own_kernel


class Layers(BaseModel, frozen=True):
    model: str = "pico"
    images: int = Field(8, ge=1, le=100)
    merge: Literal["code", "paper"] = "code"


def notebook_namespace(**values):
    """What globals() holds in a notebook besides the parameters."""
    return {
        "__name__": "__main__",
        "_": 3,
        "_i1": "text",
        "In": ["", "text"],
        "Out": {},
        "exit": object(),
        "get_ipython": lambda: None,
        "validate": validate,
        "sys": sys,
        "model_object": object(),
        **values,
    }


def test_good_parameters_become_frozen_settings():
    settings = validate(Layers, notebook_namespace(images=3, merge="paper"))
    assert settings == Layers(images=3, merge="paper")
    with pytest.raises(ValueError, match="frozen"):
        settings.images = 4


def test_every_problem_is_named_at_once():
    with pytest.raises(ParameterError) as caught:
        validate(Layers, notebook_namespace(imagse=3, images=1000, merge="average"))
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 problems with the parameters for Layers:"
    assert lines[1] == ("  imagse: unknown; did you mean images? Allowed: model, images, merge.")
    assert lines[2] == "  images = 1000: Input should be less than or equal to 100."
    assert lines[3] == "  merge = 'average': Input should be 'code' or 'paper'."


@pytest.mark.parametrize("value", ["many", "8", 2.5, True, None, [1], object()])
def test_a_value_of_the_wrong_type_is_named(value):
    with pytest.raises(ParameterError, match=r"1 problem .*\n  images = "):
        validate(Layers, notebook_namespace(images=value))


@pytest.mark.parametrize("value", [1, 0.001, True, None])
def test_a_text_that_yaml_took_for_something_else_is_to_be_quoted(value):
    with pytest.raises(ParameterError, match=r"  model = .*valid string; quote it\.$"):
        validate(Layers, {"model": value})


@pytest.mark.parametrize("value", ["is it \ud83d ?", ["a", "\udcff"], {"a": {"\udc00": 1}}])
def test_half_a_letter_is_refused(value):
    class Asked(BaseModel):
        question: Any

    with pytest.raises(ParameterError, match=r"  question = .*: half a letter is no text\."):
        validate(Asked, {"question": value})


def test_a_list_may_stand_for_a_tuple_and_a_whole_number_for_a_rate():
    class Sweep(BaseModel):
        budgets: tuple[int, ...]
        rate: float

    settings = validate(Sweep, {"budgets": [64, 128], "rate": 1})
    assert (settings.budgets, settings.rate) == ((64, 128), 1.0)
    with pytest.raises(ParameterError, match=r"budgets\.1 = '128': Input should be a valid int"):
        validate(Sweep, {"budgets": [64, "128"], "rate": 1})


def test_a_missing_value_is_named():
    class Needed(BaseModel):
        budget: int

    with pytest.raises(ParameterError, match="budget: Field required"):
        validate(Needed, notebook_namespace())


def test_settings_are_found_by_the_name_of_the_experiment(monkeypatch):
    class AttentionByLayer(BaseModel):
        images: int = 1

    name = "vzlib.experiments.attention_by_layer.settings"
    AttentionByLayer.__module__ = name
    module = SimpleNamespace(__name__=name, AttentionByLayer=AttentionByLayer, Base=BaseModel)
    monkeypatch.setattr(parameters.importlib, "import_module", lambda name: module)
    assert validate("attention_by_layer", {"images": 5}).images == 5
    with pytest.raises(ParameterError, match="did you mean attention_by_layer"):
        validate("attention_by_layers", {})


def execute(tmp_path, **given):
    """Run a notebook of three cells through papermill; returns it and its error."""
    cells = [
        new_code_cell("images = 3", metadata={"tags": ["parameters"]}),
        new_code_cell(
            "from vzlib.parameters import validate\n"
            "from pydantic import BaseModel\n"
            "settings = validate(type('Layers', (BaseModel,), "
            "{'__annotations__': {'images': int}}), globals())"
        ),
        new_code_cell("import sys\nprint(settings.images, 'torch' in sys.modules)"),
    ]
    source = tmp_path / "layers.ipynb"
    nbformat.write(new_notebook(cells=cells), source)
    output, error = tmp_path / "out.ipynb", None
    with own_kernel() as config:
        try:
            papermill.execute_notebook(
                source,
                output,
                given,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                config=config,
            )
        except papermill.PapermillExecutionError as caught:
            error = caught
    return nbformat.read(output, as_version=4), error


def test_papermill_stops_in_the_cell_after_the_parameters(tmp_path):
    notebook, error = execute(tmp_path, imagse=3)
    assert error is not None
    assert error.ename == "ParameterError"
    assert "imagse: unknown; did you mean images?" in error.evalue
    assert error.exec_count == 3  # parameters, those injected, validation
    assert notebook.cells[-1].execution_count is None


def test_papermill_goes_on_with_good_parameters(tmp_path):
    notebook, error = execute(tmp_path, images=5)
    assert error is None
    assert notebook.cells[-1].outputs[0].text == "5 False\n"


NOTEBOOK = NOTEBOOKS / "06_token_budget.ipynb"
TOLD = (
    "2 problems with the parameters for TokenBudget:",
    "bugdets: unknown; did you mean budgets?",
    "each = 1: Input should be greater than or equal to 2.",
)


def executed(notebook):
    """The code cells that ran, apart from the one that papermill adds."""
    ran = (cell for cell in notebook.cells if cell.get("execution_count") is not None)
    return [cell for cell in ran if "injected-parameters" not in cell.metadata.get("tags", [])]


def test_plain_papermill_is_refused_too(tmp_path):
    output, store = tmp_path / "out.ipynb", tmp_path / "store"
    command = [sys.executable, "-m", "papermill", str(NOTEBOOK), str(output), "-k", "python3"]
    done = subprocess.run(
        [*command, "-p", "bugdets", "64", "-p", "each", "1"],
        cwd=NOTEBOOKS,
        env={**os.environ, "VZLIB_RESULTS": str(store), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    for text in TOLD:
        assert text in done.stderr
    assert len(executed(nbformat.read(output, as_version=4))) == 2  # parameters, validation
    assert not store.exists()


def test_an_edited_cell_in_jupyter_is_refused_too(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_RESULTS", str(tmp_path / "store"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source = f"{cell.source}\nbugdets = [64]\neach = 1"
    place = {"metadata": {"path": str(NOTEBOOKS)}}
    with own_kernel() as config:
        client = NotebookClient(notebook, kernel_name="python3", config=config, resources=place)
        with pytest.raises(CellExecutionError) as caught:
            client.execute()
    for text in TOLD:
        assert text in str(caught.value)
    assert len(executed(notebook)) == 2  # parameters, validation
    assert not (tmp_path / "store").exists()


def test_a_mistake_is_reported_in_two_seconds_and_without_torch():
    code = (
        "import sys\n"
        "from vzlib.parameters import ParameterError, validate\n"
        "try:\n"
        "    validate('attention_by_layer', {'imagse': 1})\n"
        "except ParameterError:\n"
        "    sys.exit(9 if 'torch' in sys.modules else 3)\n"
    )
    before = os.times()
    assert subprocess.run([sys.executable, "-c", code]).returncode == 3
    after = os.times()
    # Processor time, which other work on the machine does not lengthen.
    assert after.children_user + after.children_system < (
        before.children_user + before.children_system + 2
    )
