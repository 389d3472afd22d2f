"""Figure 12 shows what the rows say."""

import numpy as np
import pandas as pd
import pytest

from tests.drawn import bars, check_print, whiskers, words
from tests.experiments.many_turns.made_up import LEVELS, rows
from vzlib.experiments.many_turns import draw, tell
from vzlib.notebooks import settings
from vzlib.plotting.style import TEXT, look


@pytest.fixture(scope="module")
def told():
    made = rows(LEVELS)
    return tell.by_turn(made), tell.keeping(made), tell.costs(made, "dropped")


def test_turns_losses_and_costs_are_drawn_where_they_are(told):
    turns, kept, costs = told
    shown = draw.figure(*told, "dropped")
    first, second, third = shown.axes
    lines = [np.asarray(part.lines[0].get_ydata(), float) for part in first.containers]
    expected = [own["value"] for _, own in turns.groupby(["method", "history"], sort=False)]
    np.testing.assert_allclose(lines, expected)
    dashed = [part.lines[0].get_linestyle() for part in first.containers]
    assert dashed.count("--") == 1  # all tokens with the history kept
    zip_line = first.containers[2].lines[0]
    assert zip_line.get_color() == look("visionzip").colour
    losses = kept[(kept["method"] == "fastv") & (kept["about"] == tell.OTHER)].iloc[0]
    ends = [tuple(np.sort(segment[:, 0])) for segment in whiskers(second)]
    assert any(np.allclose(one, (losses["low"], losses["high"])) for one in ends)
    assert len(second.containers) == 9 and len(third.patches) == 2 * len(costs)
    widths = [bar.get_width() for bar in third.patches]
    np.testing.assert_allclose(widths, costs[["kept", "fresh"]].to_numpy().ravel())
    assert {"FastV", "another thing"} <= words(shown) and bars(third)
    check_print(shown, TEXT)


def test_every_budget_has_a_row(told):
    twice = [pd.concat([t, t[t["budget"] == 288].assign(budget=192)]) for t in told]
    assert len(draw.figure(*twice, "dropped").axes) == 6


def test_the_table_has_a_row_for_every_way(told, tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    cells = draw.table(*told, "dropped", settings("12_many_turns", "quick")).cells
    assert cells["method"].tolist() == ["all tokens", "VisionZip (code)", "FastV", "SparseVLM"]
    fastv = cells.set_index("method").loc["FastV"]
    assert fastv["fresh / kept"] == "2.29" and fastv["in the cache"] == "300"
    assert fastv["behind a question: another thing"].startswith("-")
