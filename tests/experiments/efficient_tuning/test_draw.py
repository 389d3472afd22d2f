"""The figure of notebook 09 shows what the tables say."""

import pytest

from tests.drawn import bands, check_print, whiskers, words
from tests.experiments.efficient_tuning.made_up import answers, tunings
from vzlib import notebooks
from vzlib.experiments.efficient_tuning import draw, tell
from vzlib.plotting.style import TEXT, look


@pytest.fixture(scope="module")
def drawn():
    rows = answers()
    return draw.figure(tell.curves(rows), tell.with_all(rows), tunings(), "scenes")


def test_accuracy_before_and_after_with_bands(drawn):
    axes = drawn.axes[0]
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert list(lines["as it is"]) == [pytest.approx(40), pytest.approx(60)]
    assert list(lines[look("matching").label]) == [pytest.approx(70), pytest.approx(80)]
    assert list(lines[look("other").label]) == [pytest.approx(70), pytest.approx(70)]
    assert lines["all tokens"][0] == pytest.approx(90)
    drawn_bands = bands(axes)
    assert {band.colour for band in drawn_bands} == {
        look(name).colour.lower() for name in ("untuned", "matching", "other")
    }
    assert all((band.low < band.high).all() for band in drawn_bands)


def test_points_with_all_tokens_and_the_loss(drawn):
    middles = [(ends[0, 1] + ends[1, 1]) / 2 for ends in whiskers(drawn.axes[1])]
    assert middles == pytest.approx([-2, -10, -20, -20])
    assert [line.get_label() for line in drawn.axes[2].lines] == ["64 tokens", "32 tokens"]
    assert drawn.axes[2].lines[0].get_ydata()[0] == 1
    assert "c  tuning on matching data" in words(drawn)
    check_print(drawn, TEXT)


def test_the_table_has_the_papers_numbers_beside(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    table = draw.table(tell.gains(answers()), notebooks.settings("09_efficient_tuning"))
    row = table.cells.iloc[0]
    assert row["the paper's before"] == "94.0" and row["the paper's after"] == "95.2"
    assert row["before"] == "60.0" and row["after"] == "80.0" and row["n"] == "800"
    assert table.cells.iloc[1]["the paper's after"] == ""
    assert "| projector" not in (tmp_path / "09_efficient_tuning_table.md").read_text()
