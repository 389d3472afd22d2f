import json

import pandas as pd
import pytest
from matplotlib.figure import Figure

from vzlib import notebooks, results
from vzlib.__main__ import main
from vzlib.notebooks import settings
from vzlib.plotting import save, save_table
from vzlib.runs import figures, report

ROWS = pd.DataFrame({"method": ["<one>", "two"], "value": [1.5, 2.5]})


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    default = settings("06_token_budget")
    figure = Figure()
    figure.add_subplot().plot(ROWS["value"])
    save(figure, "06_curve", ROWS, default)
    columns = {"method": "{method}", "accuracy, %": "{value:.1f}"}
    best = {"accuracy, %": ("value", "highest")}
    save_table(ROWS, "06_table", default, columns, caption="Some rows.", best=best)
    quick = settings("01_redundancy", "quick")
    save(Figure(), "01_maps", {"a": ROWS, "b": ROWS}, quick)
    (tmp_path / "other.json").write_text(json.dumps({"seconds": 1}))
    return tmp_path


def test_the_index_shows_each_figure_and_table_with_its_notebook_settings_and_command(place):
    assert figures.write_index(place) == place / "README.md"
    page = (place / "README.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        f"## {notebooks.title(name)}" for name in ("01_redundancy", "06_token_budget")
    ]
    assert "`make reproduce SCALE=quick NOTEBOOKS=01`" in page
    assert "`make reproduce NOTEBOOKS=06`" in page
    assert 'equalise = "layer average"' in page
    assert '<img src="06_curve.png"' in page and "Some rows." in page
    links = ["01_maps-a.csv", "01_maps-b.csv", "06_curve.csv", "06_table.md", "06_table.tex"]
    assert all(f"[{name}]({name})" in page for name in links)
    assert all((place / name).is_file() for name in links)
    assert "other" not in page


def test_a_page_of_somebodys_own_is_left_alone(place):
    (place / "README.md").write_text("# My paper\n")
    assert figures.write_index(place) == place / "figures.md"
    assert (place / "README.md").read_text() == "# My paper\n"
    assert figures.write_index(place) == place / "figures.md"  # which is ours
    (place / "figures.md").write_text("# My figures\n")
    with pytest.raises(
        ValueError, match=r"has a README\.md and a figures\.md of its own: no index"
    ):
        figures.write_index(place)
    assert (place / "figures.md").read_text() == "# My figures\n"


def test_an_index_goes_where_none_leads_to(place, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "page.md"
    (place / "README.md").symlink_to(elsewhere)  # leads nowhere yet
    assert figures.write_index(place) == place / "figures.md"
    assert not elsewhere.exists()


FOREIGN = {
    "a comment": b'{"a": 1, // a comment\n}',
    "a number": b"3",
    "a list": b"[]",
    "nothing": b"",
    "no text": b"\xff\xfe\x00",
    "brackets": b"[" * 100_000,
    "other types": b'{"settings_class": 1, "settings": [], "files": {}}',
    "files that are no names": b'{"settings_class": "A", "settings": {}, "files": [1]}',
    "files that are not there": b'{"settings_class": "A", "settings": {}, "files": ["no.png"]}',
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_json_of_somebodys_own_is_passed_over(place, content):
    before = figures.page(place)
    for name in ("settings.json", "bench_mine.json"):
        (place / name).write_bytes(content)
    assert figures.page(place) == before
    assert (place / "settings.json").read_bytes() == content


def test_a_folder_without_figures_gets_no_index(tmp_path):
    (tmp_path / "notes.json").write_text("{}")
    assert figures.write_index(tmp_path) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.json"]


def test_the_index_ends_with_the_benchmark_of_every_device(place):
    row = {"what": "usual ÷ ours", "value": 2.5, "low": 2.25, "high": 2.75, "bar": "≥ 2",
           "outcome": "passed", "n": 20, "details": "usual 5 ms, ours 2 ms"}  # fmt: skip
    missing = {**row, "value": None, "low": None, "high": None, "outcome": "not measured"}
    record = {"device": "A chip", "threads": 2, "dtype": "float32", "rows": [row, missing]}
    (place / "bench_a-chip.json").write_text(json.dumps(record))
    page = figures.page(place)
    assert "## Benchmark: A chip" in page and "2 threads, float32" in page
    assert "2.5 [2.25, 2.75]" in page and "not measured" in page and "None" not in page


def test_settings_of_no_scale_are_told_one_by_one():
    changed = settings("06_token_budget", each=7, equalise="last layer")
    assert notebooks.command("06_token_budget", changed.model_dump(mode="json")) == (
        ".venv/bin/vzlib reproduce 06 -p each 7 -p equalise 'last layer'"
    )


def test_the_report_needs_nothing_but_itself(place, monkeypatch):
    monkeypatch.setenv("VZLIB_RESULTS", str(place / "store"))
    results.compute("example", settings("01_redundancy"), lambda settings: ROWS)
    assert main(["report"]) == 0
    text = (place / "store" / "report.html").read_text()
    assert "http" not in text and 'src="data:image/webp;base64,' in text
    assert text.count("<img") == 2
    assert "<strong>2.5</strong>" in text and "&lt;one&gt;" in text and "<one>" not in text
    assert "make reproduce NOTEBOOKS=06" in text and "transformers" in text
    stored = report.stored().set_index("experiment")
    assert stored.loc["example", "points"] == 1 and "<td>example</td>" in text


def test_a_report_of_nothing_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    assert main(["report", "--to", str(tmp_path / "r.html")]) == 1
    assert "make reproduce draws them" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()
