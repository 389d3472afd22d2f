"""The pages on how to add a method, a family and an analysis, executed as they stand."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from vzlib.paths import CHECKPOINTS, REPOSITORY

pytestmark = pytest.mark.slow

BLOCK = re.compile(r'^```(?:python|yaml) title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
COPIED = ("vzlib", "tests", "notebooks", "params", "pyproject.toml")


@pytest.fixture
def walked(tmp_path, request):
    """A checkout in which the blocks of a page were followed, and those that are to be tried."""
    place = tmp_path / "checkout"
    place.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
        copy(REPOSITORY / name, place / name)
    (place / "checkpoints").symlink_to(CHECKPOINTS)
    page = (REPOSITORY / "docs" / "add" / f"{request.param}.md").read_text(encoding="utf-8")
    tried = []
    for title, text in BLOCK.findall(page):
        file, row, table = title.partition(", in ")
        if title == "try it":
            tried.append(text)
        elif row:
            add_row(place / file, table, text)
        else:
            write(place / file, text)
    return place, tried


def add_row(path: Path, table: str, row: str) -> None:
    """Put a row into a mapping that a module defines, as its last."""
    text = path.read_text(encoding="utf-8")
    start = re.search(rf"^{table}\b[^{{]*{{$", text, re.MULTILINE)
    end = re.compile(r"^ *}", re.MULTILINE).search(text, start.end())
    path.write_text(text[: end.start()] + row + text[end.start() :], encoding="utf-8")


def write(path: Path, text: str) -> None:
    """A file; a notebook is told in the percent form."""
    assert not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent.parent.name == "experiments":
        (path.parent / "__init__.py").touch()
    if path.suffix != ".ipynb":
        path.write_text(text, encoding="utf-8")
        return
    notebook = nbformat.v4.new_notebook()
    for cell in re.split(r"^# %%", text, flags=re.MULTILINE)[1:]:
        kind, _, source = cell.partition("\n")
        if "markdown" in kind:
            source = re.sub(r"^# ?", "", source, flags=re.MULTILINE)
            notebook.cells.append(nbformat.v4.new_markdown_cell(source.strip()))
        else:
            tags = {"tags": [kind.strip()]} if kind.strip() else {}
            notebook.cells.append(nbformat.v4.new_code_cell(source.strip(), metadata=tags))
    nbformat.write(notebook, path)


def run(place: Path, *command: str) -> str:
    environment = {name: text for name, text in os.environ.items() if "VZLIB" not in name}
    environment |= {"PYTHONPATH": str(place), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=place, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def checked(place: Path, *tests: str) -> str:
    """Run tests of the checkout that was walked, after its style."""
    for command in ("check", "format --check"):
        run(place, "-m", "ruff", *command.split(), "vzlib", "tests")
    return run(place, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)


@pytest.mark.parametrize("walked", ["method"], indirect=True)
def test_a_method(walked):
    place, (tried,) = walked
    every = "tests/methods/test_registry.py::test_every_method_spends_exactly_its_budget"
    said = checked(place, "tests/methods/test_centre.py", every, "-k", "centre")
    assert "13 passed" in said
    answer, places = run(place, "-c", tried).splitlines()
    assert answer in ("yes", "no") and places.startswith("tensor([")


@pytest.mark.parametrize("walked", ["family"], indirect=True)
def test_a_family(walked):
    place, _ = walked
    assert "1 passed" in checked(place, "tests/models/test_vip_llava.py")


@pytest.mark.parametrize("walked", ["analysis"], indirect=True)
def test_an_analysis(walked):
    place, _ = walked
    said = run(place, "-m", "vzlib", "reproduce", "90", "--scale", "quick")
    assert "1 of 1 notebooks" in said
    figures = place / "results" / "figures"
    assert (figures / "90_brightness.pdf").is_file()
    header, *rows = (figures / "90_brightness.csv").read_text().splitlines()
    assert header == "rule,value,low,high,n"
    assert [row.split(",")[0] for row in rows] == ["cls", "mean"]
    assert all(-1 <= float(row.split(",")[1]) <= 1 and row.endswith(",4") for row in rows)
