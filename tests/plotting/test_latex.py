"""A table for LaTeX fits the page, reckoned here in the metrics of Computer Modern."""

import re
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from matplotlib.ft2font import FT2Font

from vzlib.notebooks import settings
from vzlib.plotting import COLUMN, TEXT, save_table

POINTS = {"normalsize": 10, "small": 9, "footnotesize": 8}
ROMAN = FT2Font(str(Path(matplotlib.get_data_path(), "fonts/ttf/cmr10.ttf")))
FLOAT = re.compile(r"\\begin\{(table\*?)\}\n(.*?)\\end\{\1\}\n", re.DOTALL)
LARGE = pd.DataFrame(
    {
        "tokens": [budget for budget in (192, 128, 64) for _ in range(13)],
        "method": [f"method_{number}" for number in range(13)] * 3,
        **{f"task {number}, %": 90.5 + number for number in range(5)},
        **{f"effect {number}": "+10.5 [-10.5, +12.5]" for number in range(8)},
    }
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    return tmp_path


def parts(folder, rows):
    """Of each part: what stands before its tabular, the kinds of its columns, its rows of cells."""
    columns = {name: f"{{{name}}}" for name in rows}
    best = {"task 0, %": ("task 0, %", "highest")} if "task 0, %" in rows else {}
    save_table(rows, "t", settings("01_redundancy"), columns, caption="All of it.", best=best)
    text = (folder / "t.tex").read_text()
    assert FLOAT.sub("", text).strip() == ""
    found = []
    for _, inside in FLOAT.findall(text):
        before, kinds, body = re.fullmatch(
            r"(.*)\\begin\{tabular\}\{(.*?)\}\n(.*)\\end\{tabular\}\n", inside, re.DOTALL
        ).groups()
        lines = [line[:-3].split(" & ") for line in body.splitlines() if line.endswith("\\\\")]
        found.append((before, kinds, [[plain(cell) for cell in line] for line in lines]))
    return found


def plain(cell):
    return re.sub(r"\\(.)", r"\1", re.sub(r"\\textbf\{(.*)\}", r"\1", cell)).strip()


def width(before, kinds, lines):
    """Of a tabular as LaTeX sets it, in points."""
    size = next((size for size in POINTS if f"\\{size}\n" in before), "normalsize")
    around = float(re.search(r"tabcolsep\}\{(\d+)pt\}", before)[1]) if size != "normalsize" else 6
    total = 0.0
    for kind, cells in zip(
        re.findall(r"l|p\{\d+pt\}", kinds), zip(*lines, strict=True), strict=True
    ):
        own = max(roman(cell) * POINTS[size] for cell in cells)
        total += (own if kind == "l" else float(kind[2:-3])) + 2 * around
    return total


def roman(text):
    ROMAN.set_size(100, 72)
    ROMAN.set_text(text, 0.0)
    return ROMAN.get_width_height()[0] / 64 / 100


def test_a_wide_table_falls_into_parts_as_wide_as_a_page(folder):
    found = parts(folder, LARGE)
    assert len(found) > 1
    assert all(width(*part) <= 72.27 * TEXT for part in found)
    assert all(width(*part) > 0.4 * 72.27 * TEXT for part in found)
    for _, _, (head, *_) in found:
        assert head[:2] == ["tokens", "method"]  # which tell the rows apart
    rows = zip(*(lines for _, _, lines in found), strict=True)
    whole = [[cell for part in row for cell in part[2:]] for row in rows]
    assert whole[0] == list(LARGE)[2:]
    assert whole[1:] == LARGE.iloc[:, 2:].astype(str).to_numpy().tolist()


def test_parts_are_numbered_and_each_can_be_referred_to(folder):
    found = parts(folder, LARGE)
    for number, (before, *_) in enumerate(found, start=1):
        assert f"\\caption{{All of it. ({number} of {len(found)})}}" in before
        assert f"\\label{{tab:t{f'-{number}' if number > 1 else ''}}}" in before
    assert (folder / "t.tex").read_text().count("\\textbf{") == (LARGE["task 0, %"] == 90.5).sum()


def test_a_narrow_table_is_one_float_of_a_column_in_letters_of_the_text(folder):
    ((before, kinds, lines),) = parts(folder, LARGE[["tokens", "method", "task 0, %"]])
    assert kinds == "lll" and len(lines) == len(LARGE) + 1
    assert "small" not in before and "\\caption{All of it.}" in before
    assert "\\begin{table}\n" in (folder / "t.tex").read_text()
    assert width(before, kinds, lines) <= 72.27 * COLUMN


def test_letters_are_smaller_before_there_are_parts(folder):
    columns = ["tokens", "method", "effect 0", "effect 1", "effect 2", "effect 3"]
    ((before, *_),) = parts(folder, LARGE[columns])
    assert "\\setlength{\\tabcolsep}" in before
    assert "\\begin{table*}\n" in (folder / "t.tex").read_text()


def test_long_texts_wrap(folder):
    rows = pd.DataFrame({"claim": ["C01", "C02"], "says": ["so it is " * 40, "no"]})
    ((before, kinds, lines),) = parts(folder, rows)
    assert re.fullmatch(r"lp\{\d+pt\}", kinds)
    assert width(before, kinds, lines) <= 72.27 * TEXT


def test_a_long_table_falls_into_parts_as_long_as_a_page(folder):
    rows = pd.DataFrame({"name": [f"row {number}" for number in range(150)], "value": 1})
    found = parts(folder, rows)
    assert [lines[0] for *_, lines in found] == [["name", "value"]] * len(found)
    names = [cell[0] for *_, lines in found for cell in lines[1:]]
    assert names == rows["name"].tolist()
    assert all(12 * len(lines) <= 590 for *_, lines in found)


def test_a_table_without_rows_or_with_rows_that_are_equal(folder):
    ((_, _, lines),) = parts(folder, LARGE[["tokens", "method"]].iloc[:0])
    assert lines == [["tokens", "method"]]
    ((_, _, lines),) = parts(folder, pd.DataFrame({"a": [1, 1], "b": [2, 2]}))
    assert lines == [["a", "b"], ["1", "2"], ["1", "2"]]
