"""Puts the pages of the site together: what is written, what was executed, what was measured."""

import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nbformat
import pandas as pd

from vzlib import notebooks, results
from vzlib.paths import CHECKPOINTS, FIGURES, REPOSITORY
from vzlib.site.advice import advice
from vzlib.site.gallery import gallery
from vzlib.site.ledger import ledger

DOCS = REPOSITORY / "docs"
PLACE = re.compile(r"\{\{ (\w+) \}\}")
METHODS, LEDGER = "06_token_budget_table", "15_claims_table"


def assemble(target: Path, docs: Path = DOCS, figures: Path = FIGURES) -> list[str]:
    """Write all pages and pictures below `target`, which is made anew.

    Returns the notebooks that are shown without outputs, as the store has no executed copy.

    Raises ValueError for a page with a place that nothing fills, and FileNotFoundError for a table
    that the figures lack.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(docs, target)
    names = [path.stem for path in notebooks.find()]
    fill: dict[str, Callable[[], str]] = {
        "gallery": partial(gallery, figures),
        "which_method": partial(_advice, figures),
        "ledger": partial(_ledger, figures, names),
        "changes": (REPOSITORY / "CHANGELOG.md").read_text,
    }
    for page in sorted(target.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if unknown := sorted(set(PLACE.findall(text)) - set(fill)):
            raise ValueError(f"{page.name}: nothing fills {', '.join(unknown)}")
        page.write_text(PLACE.sub(lambda found: fill[found[1]](), text), encoding="utf-8")
    (target / "figures").mkdir()
    for path in (*figures.glob("*.png"), *figures.glob("*.pdf")):
        shutil.copyfile(path, target / "figures" / path.name)
    (target / "models").mkdir()
    for path in CHECKPOINTS.glob("*/README.md"):
        shutil.copyfile(path, target / "models" / f"{path.parent.name}.md")
    return _notebooks(target / "notebooks")


def _notebooks(target: Path) -> list[str]:
    target.mkdir()
    bare = []
    for path in notebooks.find():
        executed = results.location() / "notebooks" / path.name
        notebook = nbformat.read(executed if executed.is_file() else path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = relinked(cell.source)
        nbformat.write(notebook, target / path.name)
        bare += [] if executed.is_file() else [path.stem]
    return bare


def relinked(text: str) -> str:
    """Markdown of a notebook, with links to other notebooks and to model cards as pages."""
    text = re.sub(r"\]\(([\w-]+)\.ipynb(#[^)]*)?\)", r"](\1.html\2)", text)
    return re.sub(r"\]\(\.\./checkpoints/([\w-]+)/README\.md\)", r"](../models/\1.html)", text)


def _advice(figures: Path) -> str:
    about = json.loads((figures / f"{METHODS}.json").read_text(encoding="utf-8"))
    return advice(pd.read_csv(figures / f"{METHODS}.csv"), about["settings"])


def _ledger(figures: Path, names: list[str]) -> str:
    return ledger(pd.read_csv(figures / f"{LEDGER}.csv", keep_default_na=False), names)
