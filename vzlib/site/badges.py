"""Badges that open notebook 00 in the browser: `make badges REPOSITORY=owner/name`.

They need the address at which a repository is published, and so does the notebook: Colab opens it
without the repository around it. Binder follows the folder `binder`.
"""

import re
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell

from vzlib.paths import NOTEBOOKS, REPOSITORY

BEGIN, END = "<!-- badges -->\n", "<!-- end of badges -->\n"
PATH = "notebooks/00_quickstart.ipynb"
INSTALL = "install"  # tag and id of the cell
CELL = """\
import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("vzlib") is None:  # Colab opens the notebook alone
    address = "https://github.com/{repository}"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", address, "vzlib-home"], check=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "./vzlib-home[lab]"], check=True)
    os.environ["VZLIB_HOME"] = os.path.abspath("vzlib-home")"""


def checked(repository: str) -> str:
    """`owner/name`. Raises ValueError for anything else."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(f"repository={repository!r} must be owner/name, as GitHub writes it")
    return repository


def badges(repository: str, branch: str = "main") -> str:
    """The two badges, as Markdown."""
    colab = f"https://colab.research.google.com/github/{repository}/blob/{branch}/{PATH}"
    binder = f"https://mybinder.org/v2/gh/{repository}/{branch}?urlpath=lab/tree/{PATH}"
    pictures = (
        "https://colab.research.google.com/assets/colab-badge.svg",
        "https://mybinder.org/badge_logo.svg",
    )
    return "\n".join(
        f"[![Open notebook 00 in {name}]({picture})]({address})"
        for name, picture, address in zip(
            ("Colab", "Binder"), pictures, (colab, binder), strict=True
        )
    )


def in_readme(text: str, repository: str, branch: str = "main") -> str:
    """The README with badges below its title, in place of those that are there."""
    shown = f"{BEGIN}{badges(repository, branch)}\n{END}"
    if BEGIN in text:
        before, _, rest = text.partition(BEGIN)
        return before + shown + rest.partition(END)[2]
    title, _, rest = text.partition("\n\n")
    return f"{title}\n\n{shown}\n{rest}"


def in_notebook(notebook: Any, repository: str) -> Any:
    """Notebook 00 with a first cell of code that installs vzlib where it is missing."""
    cells = [cell for cell in notebook.cells if cell.id != INSTALL]
    first = next(number for number, cell in enumerate(cells) if cell.cell_type == "code")
    cell = new_code_cell(
        CELL.format(repository=repository), id=INSTALL, metadata={"tags": [INSTALL]}
    )
    notebook.cells = [*cells[:first], cell, *cells[first:]]
    return notebook


def write(repository: str, readme: Path, notebook: Path) -> None:
    """Write both into a README and a notebook. Raises ValueError for a wrong address."""
    checked(repository)
    readme.write_text(in_readme(readme.read_text(encoding="utf-8"), repository), encoding="utf-8")
    made = in_notebook(nbformat.read(notebook, as_version=4), repository)
    notebook.write_text(nbformat.writes(made) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("make badges REPOSITORY=owner/name")
    try:
        write(sys.argv[1], REPOSITORY / "README.md", NOTEBOOKS / Path(PATH).name)
    except ValueError as error:
        sys.exit(str(error))
