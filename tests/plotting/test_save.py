import subprocess
import sys

import pytest
from PIL import Image

from vzlib.paths import REPOSITORY
from vzlib.plotting import COLUMN, save

DRAW = """
import sys
from matplotlib.figure import Figure
from vzlib.plotting import COLUMN, save, styled

@styled
def draw(values):
    figure = Figure(figsize=(COLUMN, 2))
    axes = figure.subplots()
    axes.plot(values, marker="o", label="α, β and more")
    axes.imshow([values, values], extent=(0, 1, 0, 1))
    axes.legend()
    return figure

save(draw([float(value) for value in sys.argv[1:]]), "example")
"""


def draw(folder, *values, seed="0", epoch="0"):
    command = [sys.executable, "-c", DRAW, *map(str, values)]
    changes = {"VZLIB_FIGURES": str(folder), "PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": epoch}
    subprocess.run(command, env={"PYTHONPATH": str(REPOSITORY), **changes}, check=True)
    return [(folder / f"example.{kind}").read_bytes() for kind in ("pdf", "png")]


def test_equal_data_gives_equal_bytes_and_other_data_others(tmp_path):
    first = draw(tmp_path / "a", 1, 2, 3)
    assert draw(tmp_path / "b", 1, 2, 3, seed="1", epoch="999999999") == first
    other = draw(tmp_path / "c", 1, 2, 4)
    assert other[0] != first[0] and other[1] != first[1]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "example.pdf",
        "example.png",
    ]


def test_fonts_are_embedded_and_the_width_is_that_of_the_column(tmp_path):
    pdf, _ = draw(tmp_path, 1, 2)
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf
    with Image.open(tmp_path / "example.png") as image:
        assert abs(image.width / 300 - COLUMN) < 0.01


def test_a_name_with_a_folder_is_refused():
    with pytest.raises(ValueError, match=r"figure name '\.\./away'"):
        save(None, "../away")
