"""The figure and the table of notebook 14 show what they are given."""

import numpy as np
import pytest

from tests.drawn import check_print, whiskers, words
from tests.experiments.adaptive_budget.made_up import answers, images
from vzlib.experiments.adaptive_budget import draw, tell
from vzlib.notebooks import settings
from vzlib.plotting.style import TEXT

COUNTS = np.random.default_rng(0).choice([20, 30, 60, 120], 40)


@pytest.fixture(scope="module")
def given():
    one = tell.told(answers(COUNTS), images(COUNTS, things=COUNTS))
    return one, tell.allotted(one, (40, 64)), tell.differences(one, (40, 64))


def test_bars_end_where_the_tables_say(given):
    one, sizes, differences = given
    figure = draw.figure(one.images.curves, sizes, differences, 64)
    held, given_to, gains = figure.axes
    own = sizes[sizes["budget"] == 64].reset_index(drop=True)
    lines = [line.get_xdata() for line in given_to.lines[: 2 * len(own)]]
    for row in own.itertuples():
        thin, thick = lines[2 * row.Index : 2 * row.Index + 2]
        assert list(thin) == [row.least, row.most]
        assert list(thick) == [row.low_tokens, row.high_tokens]
    pooled = differences[differences["budget"] == tell.POOLED]
    ends = whiskers(gains)
    assert len(ends) == len(pooled)
    for against, found in zip((tell.FIXED, tell.SPREAD), np.split(np.array(ends), 2), strict=True):
        told = pooled[pooled["against"] == against]
        assert found[:, 0, 0] == pytest.approx(told["low"].to_numpy())
        assert found[:, 1, 0] == pytest.approx(told["high"].to_numpy())
    median = held.lines[0].get_ydata()
    assert median[-1] == pytest.approx(100) and 20 < median[19] < 100
    assert {"mass", "hindsight", "what rules give at 64"} & words(figure)
    check_print(figure, TEXT)


def test_the_table_has_a_row_for_every_comparison(given, monkeypatch, tmp_path):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    _, sizes, differences = given
    cells = draw.table(differences, sizes, settings("14_adaptive_budget")).cells
    assert len(cells) == len(differences)
    mass = cells[(cells["rule"] == "mass") & (cells["mean tokens"] == "64")]
    assert mass["gives"].str.contains("of the attention").all()
    assert mass["against"].tolist() == [draw.NAMES[tell.FIXED], draw.NAMES[tell.SPREAD]]
