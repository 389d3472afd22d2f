"""The figure and the table of notebook 16 show what they are given."""

import numpy as np
import pytest

from tests.drawn import check_print, whiskers, words
from tests.experiments.what_is_lost.made_up import made_up
from tests.experiments.what_is_lost.test_tell import of_size_and_task
from vzlib.experiments.what_is_lost import draw, tell
from vzlib.notebooks import settings
from vzlib.plotting.style import TEXT, look


@pytest.fixture(scope="module")
def given():
    data = tell.answers(*made_up(of_size_and_task, budgets=(192, 64)))
    return tell.rates(data), tell.ratios(data)


def test_marks_and_bars_are_where_the_tables_say(given):
    rates, ratios = given
    figure = draw.figure(rates, ratios)
    panels = dict(zip(draw.PANELS, figure.axes, strict=False))
    for name, axes in panels.items():
        own = rates[rates["of"] == name]
        ends = np.array(whiskers(axes))[:, :, 1]
        assert ends == pytest.approx(own[["low", "high"]].to_numpy())
    solid, open_ = (
        [box.lines[0] for box in panels["size"].containers][number] for number in (1, 0)
    )
    assert open_.get_markerfacecolor() == "white" != solid.get_markerfacecolor()
    forest = figure.axes[-1]
    own = ratios[(ratios["budget"] == 64) & ratios["low"].notna()]
    ends = np.array(whiskers(forest))
    assert len(ends) == len(own)
    assert ends[:, :, 0] == pytest.approx(own[["low", "high"]].to_numpy())
    labels = [label.get_text() for label in forest.get_yticklabels()]
    for (left, right), row in zip(ends, own.itertuples(), strict=True):
        assert labels[round(left[1])] == draw.called(row.term) and left[1] == right[1]
    assert {"64 tokens", "192 tokens", look("visionzip").label} <= words(figure)
    check_print(figure, TEXT)


def test_the_table_has_every_ratio(given, monkeypatch, tmp_path):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    _, ratios = given
    cells = draw.table(ratios, settings("16_what_is_lost")).cells
    assert len(cells) == len(ratios)
    row = ratios.iloc[0]
    assert cells.iloc[0]["ratio"].startswith(f"{row['value']:.2f} [{row['low']:.2f}")
    assert cells.iloc[0]["lost"] == f"{row['lost']} of {row['n']}"
