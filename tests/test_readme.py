"""The README says what was measured, and names what there is."""

import re

import pandas as pd

from vzlib.paths import CHECKPOINTS, NOTEBOOKS, PARAMETERS, REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_table_of_accuracies_is_that_of_the_checkpoint():
    table = pd.read_csv(CHECKPOINTS / "pico-llava" / "accuracy.csv")
    means = table[table["task"] == "mean"].set_index(["method", "retained"])
    told = 0
    for retained in sorted(means.index.unique("retained"), reverse=True):
        cells = [
            f"{row.value:.1f} ± {row.high - row.value:.1f}"
            for row in means.xs(retained, level="retained").itertuples()
        ]
        assert f"| {retained} | {' | '.join(cells)}" in README
        told += len(cells)
    assert told == len(means)


def test_files_and_notebooks_that_it_names_exist():
    for path in re.findall(r"\]\((?!http)([^)]+)\)|!\[[^]]*\]\(([^)]+)\)", README):
        assert (REPOSITORY / "".join(path)).exists(), path
    listed = set(re.findall(r"^\| `(\d\d_\w+)` \|", README, flags=re.MULTILINE))
    assert listed == {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
    assert listed == {path.name for path in PARAMETERS.iterdir() if path.name[:1].isdigit()}
