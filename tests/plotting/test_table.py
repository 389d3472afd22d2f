import re

import pandas as pd
import pytest

from vzlib.notebooks import settings
from vzlib.plotting import save_table
from vzlib.plotting.table import p_value

ROWS = pd.DataFrame(
    {
        "budget": [64, 64, 32, 32],
        "method": ["one_way", "50 %|other", "one_way", "50 %|other"],
        "value": [80.25, 90.5, 70.123456789, float("nan")],
        "low": [79.0, 89.0, 69.0, float("nan")],
    }
)
COLUMNS = {"tokens": "{budget}", "method": "{method}", "accuracy, %": "{value:.1f} [{low:.1f}]"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    return tmp_path


def write(rows=ROWS, direction="highest", within="budget"):
    best = {"accuracy, %": ("value", direction)}
    caption = "At 50 % of x_y & more."
    return save_table(
        rows, "t", settings("01_redundancy"), COLUMNS, caption=caption, best=best, within=within
    )


def test_markdown_and_latex_hold_the_same_cells(folder):
    write()
    markdown = [
        [
            cell.strip().replace("**", "").replace("\\|", "|")
            for cell in re.split(r"(?<!\\)\|", line)
        ]
        for line in (folder / "t.md").read_text().splitlines()[2:6]
    ]
    body = (folder / "t.tex").read_text().split("\\midrule\n")[1].split("\\bottomrule")[0]
    latex = [
        [re.sub(r"\\textbf\{(.*)\}", r"\1", cell.strip()) for cell in line[:-2].split(" & ")]
        for line in body.strip().splitlines()
    ]
    plain = [[re.sub(r"\\(.)", r"\1", cell).strip() for cell in line] for line in latex]
    assert [line[1:-1] for line in markdown] == plain
    assert plain[1] == ["64", "50 %|other", "90.5 [89.0]"] and plain[3][2] == ""


def test_what_latex_reads_as_its_own_is_escaped(folder):
    write()
    text = (folder / "t.tex").read_text()
    assert "\\toprule" in text and r"\caption{At 50 \% of x\_y \& more.}" in text
    assert r"accuracy, \%" in text and r"one\_way" in text
    assert not re.search(r"(?<!\\)[%_]", text)


@pytest.mark.parametrize(
    ("direction", "within", "bold"),
    [
        ("highest", "budget", [False, True, True, False]),
        ("highest", None, [False, True, False, False]),
        ("lowest", "budget", [True, False, True, False]),
    ],
)
def test_the_best_is_bold_in_every_format(folder, direction, within, bold):
    table = write(direction=direction, within=within)
    assert table.best["accuracy, %"].tolist() == bold
    assert not table.best[["tokens", "method"]].any(axis=None)
    assert (folder / "t.md").read_text().count("**") == 2 * sum(bold)
    assert (folder / "t.tex").read_text().count("\\textbf{") == sum(bold)
    assert table._repr_html_().count("font-weight: bold") == 1


def test_the_csv_has_all_columns_and_the_bytes_repeat(folder):
    write()
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(first) == {"t.csv", "t.md", "t.tex", "t.json"}
    assert b"32,one_way,70.12,69\n" in first["t.csv"]
    write()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


def test_an_unknown_column_is_named():
    with pytest.raises(KeyError, match="value"):
        write(ROWS.drop(columns="value"))


def test_a_p_value_is_never_zero():
    cell = p_value("p")
    shown = [cell({"p": p}) for p in (0.25, 0.0123, 1e-16, 1e-17, 0.0, None, float("nan"))]
    assert shown == ["0.25", "0.012", "1e-16", "<1e-16", "<1e-16", "", ""]
