import json
import subprocess
import sys

import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from vzlib.notebooks import settings
from vzlib.paths import REPOSITORY
from vzlib.plotting import COLUMN, save, styled

KINDS = ("pdf", "png", "csv", "json")
APART = "import sys; from tests.plotting.test_save import example; example(*sys.argv[1:])"


@styled
def draw(values):
    figure = Figure(figsize=(COLUMN, 2))
    axes = figure.subplots()
    axes.plot(values, marker="o", label="α, β and more")
    axes.imshow([values, values], extent=(0, 1, 0, 1))
    axes.legend()
    return figure


def example(*words):
    values = [float(word) for word in words]
    table = pd.DataFrame({"value": values})
    save(draw(values), "example", table, settings("01_redundancy", count=7))


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Function: the files of the example, drawn in a folder of that name."""

    def of(name, *values):
        monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path / name))
        example(*values)
        return read(tmp_path / name)

    return of


def read(folder):
    assert {path.name for path in folder.iterdir()} == {f"example.{kind}" for kind in KINDS}
    return [(folder / f"example.{kind}").read_bytes() for kind in KINDS]


def test_equal_data_gives_equal_bytes_in_any_process_and_other_data_others(tmp_path, drawn):
    first = drawn("a", 1, 2, 3)
    changes = {"PYTHONHASHSEED": "1", "SOURCE_DATE_EPOCH": "999999999"}
    changes |= {"VZLIB_FIGURES": str(tmp_path / "b"), "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", APART, "1", "2", "3"], env=changes, check=True)
    assert read(tmp_path / "b") == first
    other = drawn("c", 1, 2, 4)
    assert all(one != another for one, another in zip(first[:3], other[:3], strict=True))


def test_the_data_and_what_made_them_lie_beside_the_figure(tmp_path, monkeypatch, drawn):
    drawn("a", 1, 0.1 + 0.2)
    assert (tmp_path / "a" / "example.csv").read_text() == "value\n1\n0.3\n"
    record = json.loads((tmp_path / "a" / "example.json").read_text())
    assert record["settings_class"] == "Redundancy" and record["settings"]["count"] == 7
    assert record["files"] == ["example.pdf", "example.png", "example.csv"]
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path / "b"))
    parts = {"curve": pd.DataFrame({"a": [1]}), "bars": pd.Series([2], name="b").to_frame()}
    save(Figure(), "two", parts, settings("01_redundancy"))
    assert (tmp_path / "b" / "two-curve.csv").read_text() == "a\n1\n"
    assert (tmp_path / "b" / "two-bars.csv").read_text() == "b\n2\n"


def test_fonts_are_embedded_and_the_width_is_that_of_the_column(tmp_path, drawn):
    pdf = drawn("a", 1, 2)[0]
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf
    with Image.open(tmp_path / "a" / "example.png") as image:
        assert abs(image.width / 300 - COLUMN) < 0.01


def test_a_name_with_a_folder_is_refused():
    with pytest.raises(ValueError, match=r"figure name '\.\./away'"):
        save(Figure(), "../away", pd.DataFrame(), settings("01_redundancy"))


@pytest.mark.parametrize("name", ["one.png", "one.csv", "one.json"])
def test_a_file_of_somebodys_own_is_not_written_over(tmp_path, monkeypatch, name):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=rf"holds a {name} that vzlib did not write; move it away"):
        save(Figure(), "one", pd.DataFrame({"a": [1]}), settings("01_redundancy"))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"
