"""Every notebook is thin, clean and strict about its parameters; nothing is executed here."""

import ast
import json
import re
import subprocess
import sys

import nbformat
import pytest
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelspec import get_kernel_dict
from nbformat.v4 import new_code_cell, new_notebook

from vzlib.notebooks import SCALES, code, defaults, parameters, settings
from vzlib.parameters import settings_class
from vzlib.paths import NOTEBOOKS, PARAMETERS, REPOSITORY

NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
CODE_LINES = 60
MAKEFILE = REPOSITORY / "Makefile"
# The parameters cell gives every setting, so that the class needs no values of its own.
every_notebook = pytest.mark.parametrize("name", NAMES)


def read(name):
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def code_cells(name):
    """All but the one that `make badges` puts first."""
    code = [cell for cell in read(name).cells if cell.cell_type == "code"]
    return [cell for cell in code if "install" not in cell.metadata.get("tags", [])]


def calls(cell, function):
    """The calls of a function by its bare name in one cell."""
    return [
        node
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function
    ]


@every_notebook
def test_is_committed_without_outputs(name):
    notebook = read(name)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert not {"execution", "papermill"} & set(cell.metadata)


@every_notebook
def test_is_as_jupyter_saves_it_so_that_opening_changes_nothing(name):
    text = (NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8")
    notebook = json.loads(text)
    # What JupyterLab sets when the kernel has started; a change of it makes a notebook unsaved.
    said = {key: value for key, value in IPythonKernel.language_info.items() if key != "version"}
    language = notebook["metadata"]["language_info"]
    assert language == {**said, "version": language["version"]}
    kernel = get_kernel_dict()
    names = {"name": "python3", **{key: kernel[key] for key in ("display_name", "language")}}
    assert notebook["metadata"] == {"kernelspec": names, "language_info": language}
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert text == nbformat.writes(nbformat.reads(text, as_version=4)) + "\n"


def test_notebooks_were_saved_by_one_python():
    assert len({read(name).metadata["language_info"]["version"] for name in NAMES}) == 1


@every_notebook
def test_links_lead_to_files_below_what_make_lab_shows(name):
    (command,) = re.findall(r"jupyter lab --notebook-dir=(\S+)", MAKEFILE.read_text())
    root = (REPOSITORY / command).resolve()
    for cell in read(name).cells:
        if cell.cell_type == "markdown":
            for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", cell.source):
                target = (NOTEBOOKS / link).resolve()
                assert target.exists() and target.is_relative_to(root), link


@every_notebook
def test_begins_with_a_title_parameters_and_their_validation(name):
    cells = read(name).cells
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    first, second = code_cells(name)[:2]
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    assert tagged == [first]
    (validation,) = calls(second, "validate")
    experiment = name.partition("_")[2]
    assert [ast.unparse(each) for each in validation.args] == [f"'{experiment}'", "globals()"]
    assert sorted(defaults(NOTEBOOKS / f"{name}.ipynb")) == sorted(
        settings_class(experiment).model_fields
    )


@pytest.mark.parametrize("cell", ["print(1)", "n = open('/etc/passwd')", "n += 1", "n = ("])
def test_a_parameters_cell_that_holds_more_than_plain_values_is_refused(tmp_path, cell):
    path = tmp_path / "90_other.ipynb"
    tagged = new_code_cell(cell, metadata={"tags": ["parameters"]})
    nbformat.write(new_notebook(cells=[tagged, new_code_cell("run = 1")]), path)
    with pytest.raises(ValueError, match=r"cell of 90_other\.ipynb holds more than plain values"):
        defaults(path)
    assert code(path) == "run = 1"
    tagged.source = 'a = b = -1\nc = [\n    "x", None,\n]  # three'
    nbformat.write(new_notebook(cells=[tagged]), path)
    assert defaults(path) == {"a": -1, "b": -1, "c": ["x", None]}


def test_what_draws_does_not_wait_for_what_checks_the_format_of_notebooks():
    code = (
        "import sys; from vzlib.experiments.redundancy import claims, draw;"
        "late = {'nbformat', 'jsonschema', 'torch', 'transformers'} & set(sys.modules);"
        "assert not late, late"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


@every_notebook
def test_imports_nothing_heavy_before_the_parameters_are_checked(name):
    imports = [
        node
        for node in ast.parse(code_cells(name)[1].source).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert [ast.unparse(node) for node in imports] == ["from vzlib.parameters import validate"]


@every_notebook
def test_leaves_the_logic_to_vzlib(name):
    lines = 0
    for cell in code_cells(name):
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        stripped = map(str.strip, cell.source.splitlines())
        lines += sum(bool(line) and not line.startswith("#") for line in stripped)
    assert lines <= CODE_LINES


@every_notebook
@pytest.mark.parametrize("scale", SCALES)
def test_has_allowed_parameters_for_each_scale(name, scale):
    settings(name, scale)


@every_notebook
def test_opened_and_run_it_asks_for_the_default_scale(name):
    cell, default = defaults(NOTEBOOKS / f"{name}.ipynb"), parameters(name, "default")
    assert default.items() <= cell.items()


@every_notebook
def test_defaults_are_kept_in_one_place(name):
    fields = settings_class(name.partition("_")[2]).model_fields
    assert [field for field, told in fields.items() if not told.is_required()] == []


def test_settings_are_those_of_the_cell_the_scale_and_what_is_changed():
    chosen = settings("01_redundancy", "quick", seed=3)
    assert (chosen.near_zero, chosen.count, chosen.seed) == (0.1, 16, 3)
    with pytest.raises(ValueError, match=r"cuont: unknown; did you mean count"):
        settings("01_redundancy", cuont=3)


def test_parameter_folders_belong_to_notebooks():
    folders = {path.name for path in PARAMETERS.iterdir() if path.name[:1].isdigit()}
    assert folders == set(NAMES)


@every_notebook
def test_the_code_that_the_prose_names_is_there(name):
    prose = "".join(cell.source for cell in read(name).cells if cell.cell_type == "markdown")
    named = re.findall(r"`((?:vzlib|params)/[\w./]+)`", prose)
    assert [path for path in named if not (REPOSITORY / path).exists()] == []
