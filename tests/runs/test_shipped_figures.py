"""The figures that are committed are those of the measurements that ship, to the byte."""

import pytest

from vzlib import notebooks
from vzlib.paths import FIGURES, MEASURED
from vzlib.results import entry
from vzlib.runs import reproduce


def test_what_ships_is_sound():
    folders = list(MEASURED.glob("*/*/"))
    assert folders
    for folder in folders:
        entry.verify(folder)


@pytest.mark.slow
def test_figures_are_redrawn_anywhere_and_nothing_is_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_RESULTS", str(tmp_path / "store"))
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path / "figures"))
    monkeypatch.setenv("VZLIB_STORE_ONLY", "1")
    monkeypatch.delenv("VZLIB_SHIPPED", raising=False)
    assert reproduce.run(notebooks.find(), "default", jobs=2) == []
    drawn = {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()}
    committed = {
        path.name: path.read_bytes()
        for path in FIGURES.iterdir()
        if path.name != "README.md" and not path.name.startswith("bench_")
    }
    assert drawn.keys() == committed.keys()
    assert [name for name in sorted(drawn) if drawn[name] != committed[name]] == []
    assert not (tmp_path / "store" / "seen").exists()
