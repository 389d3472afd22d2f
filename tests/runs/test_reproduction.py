"""All notebooks at the quick scale: figures from a fresh store, and again from the store alone."""

import hashlib

import pytest

from vzlib import notebooks, results
from vzlib.paths import NOTEBOOKS
from vzlib.runs import reproduce

pytestmark = pytest.mark.slow


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_figures_are_reproduced_and_redrawn_from_the_store_byte_for_byte(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_RESULTS", str(tmp_path / "store"))
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path / "measured"))
    monkeypatch.setenv("VZLIB_SHIPPED", "0")  # all of it is measured
    found = notebooks.find()
    assert found

    monkeypatch.setenv("VZLIB_STORE_ONLY", "1")
    failures = reproduce.run(found[:1], "quick")
    assert len(failures) == 1
    assert "MissingResult: no stored result for" in failures[0]

    monkeypatch.delenv("VZLIB_STORE_ONLY")
    assert reproduce.run(found, "quick") == []
    stored, drawn = results.entries(), digests(tmp_path / "measured")
    names = {path.stem[:2] for path in NOTEBOOKS.glob("[0-9]*.ipynb")}
    for kind in ("pdf", "png"):
        assert {name[:2] for name in drawn if name.endswith(kind)} == names
    for folder in stored:
        results.verify(folder)

    monkeypatch.setenv("VZLIB_STORE_ONLY", "1")
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path / "redrawn"))
    assert reproduce.run(found, "quick") == []
    assert digests(tmp_path / "redrawn") == drawn
    assert results.entries() == stored
