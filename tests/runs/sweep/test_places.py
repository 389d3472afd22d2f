"""A sweep works wherever its files are: whatever a file system allows in a name."""

from pathlib import Path

import nbformat
import pandas as pd
import pytest

from tests.runs.sweep.conftest import CELLS

ALL = 'a{x} {{0}} #1: 50 % of it\'s "so", $HOME `id` !x ~ [b] *? \\n é 字 & ; = @ |'
WHICH = "import vzlib\n\nprint(vzlib.__file__)"


@pytest.mark.slow
@pytest.mark.parametrize("name", [ALL, "two\nlines"])
def test_a_store_and_a_sweep_file_of_any_name(clone, name):
    squares = clone()
    squares.store = squares.store.parent / name
    squares.environment["VZLIB_RESULTS"] = str(squares.store)
    squares.notebook("# Squares", *CELLS, WHICH)
    usual = squares.sweep([0, 2], draw={"numbers": [0, 2]}, group=2)
    path = squares.write(f"{name}.yaml", Path(usual).read_text())
    done = squares.run(str(path), "--jobs", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert squares.computed() == [0, 2]
    place = squares.store / "sweeps" / name
    (copy,) = (place / "code").iterdir()
    points = sorted((place / "points").glob("*.ipynb"))
    assert len(points) == 2
    for executed in (*points, place / "90_squares.ipynb"):
        (output,) = nbformat.read(executed, as_version=4).cells[-1].outputs
        assert output.text == f"{copy / 'vzlib/__init__.py'}\n"
    table = pd.read_csv(place / "figures" / "squares.csv")
    assert table.to_dict("list") == {"number": [0, 2], "square": [0, 4]}
    again = squares.run(str(path), "--jobs", "1")
    assert again.stdout == f"{name}: 2 points, 0 to compute\n"
