"""Badges, the cell that installs vzlib on Colab, and what Binder installs."""

import os
import subprocess
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement

from tests.test_environment import CONDA_NAMES
from vzlib.paths import NOTEBOOKS, REPOSITORY
from vzlib.site import badges

WHO = "some-one/vz.lib"


@pytest.fixture
def written(tmp_path) -> tuple[Path, Path]:
    """README and notebook, with badges of two addresses, one after the other."""
    readme, notebook = tmp_path / "README.md", tmp_path / "00.ipynb"
    readme.write_text((REPOSITORY / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    notebook.write_bytes((NOTEBOOKS / "00_quickstart.ipynb").read_bytes())
    badges.write("an/other", readme, notebook)
    badges.write(WHO, readme, notebook)
    return readme, notebook


def test_the_readme_has_two_badges_that_open_notebook_00(written):
    text = written[0].read_text(encoding="utf-8")
    own = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert text.startswith("# vzlib\n\n<!-- badges -->\n[![Open notebook 00 in Colab](")
    path = "notebooks/00_quickstart.ipynb"
    assert (REPOSITORY / path).is_file()
    assert f"https://colab.research.google.com/github/{WHO}/blob/main/{path})\n" in text
    assert f"https://mybinder.org/v2/gh/{WHO}/main?urlpath=lab/tree/{path})\n" in text
    assert "an/other" not in text and text.count("badges -->") == 2
    without = text.replace(f"<!-- badges -->\n{badges.badges(WHO)}\n<!-- end of badges -->\n\n", "")
    assert without == own


def test_the_notebook_installs_vzlib_once_and_only_where_it_is_missing(written, monkeypatch):
    notebook = nbformat.read(written[1], as_version=4)
    nbformat.validate(notebook)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert first.metadata.tags == ["install"]
    assert [cell.id for cell in notebook.cells].count("install") == 1
    own = nbformat.read(NOTEBOOKS / "00_quickstart.ipynb", as_version=4)
    assert [cell for cell in notebook.cells if cell.id != "install"] == own.cells
    called = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: called.append(command))
    monkeypatch.setattr(os, "environ", {})
    exec(first.source, {})
    assert called == [] and os.environ == {}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    exec(first.source, {})
    assert called[0][-2:] == [f"https://github.com/{WHO}", "vzlib-home"]
    assert called[1][1:4] == ["-m", "pip", "install"]
    assert called[1][-1] == "./vzlib-home[lab]"
    assert os.environ["VZLIB_HOME"] == os.path.abspath("vzlib-home")


@pytest.mark.parametrize("wrong", ["vzlib", "https://github.com/a/b", "a/b/c", "a b/c", ""])
def test_an_address_that_is_none_is_refused_before_anything_is_written(tmp_path, wrong):
    with pytest.raises(ValueError, match="must be owner/name"):
        badges.write(wrong, tmp_path / "none", tmp_path / "none")


def test_binder_installs_what_the_package_requires_and_what_draws_widgets():
    told = yaml.safe_load((REPOSITORY / "binder" / "environment.yml").read_text())["dependencies"]
    found = {each.name: str(each.specifier) for each in map(Requirement, told[2:])}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["lab"]]
    asked = {each.name: str(each.specifier) for each in map(Requirement, lines)}
    del asked["jupyter"]  # Binder has a JupyterLab of its own
    names = CONDA_NAMES | {"torch": "pytorch-cpu"}
    assert found == {names.get(name, name): version for name, version in asked.items()}
    assert told[:2] == ["python=3.12", "pip"]
    start = REPOSITORY / "binder" / "postBuild"
    assert os.access(start, os.X_OK) and start.read_text().startswith("#!/bin/bash\n")
