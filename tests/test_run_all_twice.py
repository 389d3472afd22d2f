"""Run All, a changed parameter, Run All again, in one kernel; the checkout stays as it was."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from vzlib.notebooks import defaults, find
from vzlib.paths import FIGURES, MEASURED, NOTEBOOKS, PARAMETERS, REPOSITORY
from vzlib.runs.kernel import own_kernel

# What makes a notebook quick, and what is changed then.
CHANGES = {
    "00_quickstart": ({}, {"retain": 32}),
    "01_redundancy": ({"count": 4}, {"near_zero": 0.2}),
    "02_attention_by_layer": ({"count": 4}, {"shown": 1}),
    "03_softmax_gradient": ({"count": 2}, {"lengths": [2, 5]}),
    "04_feature_misalignment": ({"scenes": 4, "count": 4}, {"radius": 2.0}),
    "05_misalignment_ablation": ({"each": 12, "seeds": [0]}, {"selectors": ["fastv"]}),
    "06_token_budget": (
        {"each": 4, "budgets": [192], "methods": ["visionzip", "random", "fastv"]},
        {"equalise": "last layer"},
    ),
    "07_dominant_contextual": ({"each": 4, "totals": [64]}, {"each": 5}),
    "08_efficiency": (
        {"larger": None, "methods": ["visionzip"], "budgets": [640], "repetitions": 4},
        {"limit": 0.5},
    ),
    "09_efficient_tuning": (
        {"each": 4, "budgets": [64], "others": [], "images": 8},
        {"budgets": [32]},
    ),
    "10_training_stage": (
        {"each": 4, "budgets": [64], "images": 8, "steps": 2, "seeds": [0, 1]},
        {"budgets": [32]},
    ),
    "11_quantisation": (
        {"each": 3, "precisions": ["float32", "nf4"]},
        {"retain": 128},
    ),
    "12_many_turns": (
        {"images": 2, "turns": 2, "methods": ["visionzip", "fastv"]},
        {"budgets": [400]},
    ),
    "13_video": ({"clips": 2, "albums": 2, "budgets": [136], "inside": []}, {"each": 2}),
    "14_adaptive_budget": (
        {"each": 8, "ladder": [32, 64, 128], "budgets": [64]},
        {"budgets": [48]},
    ),
    "15_claims": ({"scale": "quick"}, {"scale": "default"}),
    "16_what_is_lost": ({"each": 8, "budgets": [64]}, {"seed": 1}),
    "17_concentration": ({"count": 4, "each": 3, "temperatures": [2.0]}, {"registers": 2}),
}


def test_every_notebook_is_tried():
    assert list(CHANGES) == [path.stem for path in find()]


@pytest.mark.slow
def test_run_all_twice(tmp_path, monkeypatch):
    """One kernel for all, since most of the time goes into its imports."""
    monkeypatch.setenv("VZLIB_RESULTS", str(tmp_path / "store"))
    monkeypatch.delenv("VZLIB_FIGURES", raising=False)
    before, whole, runs = checkout(), new_notebook(), []
    for path in find():
        quick, changed = CHANGES[path.stem]
        for own in (quick, quick | changed):
            first = len(whole.cells)
            whole.cells += map(new_code_cell, sources(path, defaults(path) | own))
            runs.append((path.stem, first, len(whole.cells)))
    with own_kernel() as config:
        place = {"metadata": {"path": str(NOTEBOOKS)}}
        NotebookClient(whole, kernel_name="python3", config=config, resources=place).execute()
    for (name, *one), (_, *two) in zip(runs[::2], runs[1::2], strict=True):
        once, again = ([shown(cell) for cell in whole.cells[slice(*ends)]] for ends in (one, two))
        assert once[-1] != again[-1], name  # the settings
        assert [len(cell) for cell in once] == [len(cell) for cell in again], name
    drawn = {path.name[:2] for path in (tmp_path / "store" / "figures").glob("*.png")}
    assert drawn == {name[:2] for name in CHANGES}
    assert checkout() == before


def sources(path, values):
    """The code cells of a notebook, with other parameters, and one that shows its settings."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    parameters = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    return [parameters, *(cell.source for cell in cells[1:]), "settings"]


def shown(cell):
    """What a cell showed, progress apart."""
    return [output["data"]["text/plain"] for output in cell.outputs if "data" in output]


def checkout():
    """Every file of the checkout that is committed or would be seen beside those."""
    folders = (FIGURES, MEASURED, NOTEBOOKS, PARAMETERS)
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    files += [path for path in REPOSITORY.iterdir() if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in files}
