"""Notebooks at the quick scale: figures from a fresh store, and again from the store alone.

All of them are measured in `tests/test_run_all_twice.py` too, and redrawn in
`test_shipped_figures.py`.
"""

import hashlib

import pytest

from vzlib import notebooks, results
from vzlib.runs import reproduce

FEW = ["00_quickstart", "03_softmax_gradient", "15_claims"]


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(FEW, marks=pytest.mark.slow, id="few"),
        pytest.param(None, marks=pytest.mark.long, id="all"),
    ],
)
def test_figures_are_reproduced_and_redrawn_from_the_store_byte_for_byte(
    tmp_path, monkeypatch, chosen
):
    monkeypatch.setenv("VZLIB_RESULTS", str(tmp_path / "store"))
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path / "measured"))
    monkeypatch.setenv("VZLIB_SHIPPED", "0")  # all of it is measured
    found = notebooks.find(chosen)
    assert found and (chosen is None or len(found) == len(chosen))

    monkeypatch.setenv("VZLIB_STORE_ONLY", "1")
    failures = reproduce.run(found[:1], "quick")
    assert len(failures) == 1
    assert "MissingResult: no stored result for" in failures[0]

    monkeypatch.delenv("VZLIB_STORE_ONLY")
    assert reproduce.run(found, "quick") == []
    stored, drawn = results.entries(), digests(tmp_path / "measured")
    names = {path.stem[:2] for path in found}
    for kind in ("pdf", "png"):
        assert {name[:2] for name in drawn if name.endswith(kind)} == names
    for folder in stored:
        results.verify(folder)

    monkeypatch.setenv("VZLIB_STORE_ONLY", "1")
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path / "redrawn"))
    assert reproduce.run(found, "quick") == []
    assert digests(tmp_path / "redrawn") == drawn
    assert results.entries() == stored
