"""Figure 02 and its table show the numbers they are given, in the colours of their looks."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from tests import drawn
from vzlib.experiments.attention_by_layer import draw
from vzlib.experiments.attention_by_layer.measure import MEASURES
from vzlib.notebooks import settings
from vzlib.plotting import TEXT, look

GROUPS = [(kind, rule) for kind in ("photographs", "scenes") for rule in ("cls", "mean")]
COLOURS = [to_hex(look(kind).colour) for kind, _ in GROUPS]
LABELS = [f"{look(kind).label}, {look(rule).label}" for kind, rule in GROUPS]


@pytest.fixture
def profile():
    """Rows of `tell.profile`, every value and bound of them another."""
    rows = [
        (kind, rule, measure, layer, layer == 7, 40, 16)
        for kind, rule in GROUPS
        for measure in MEASURES
        for layer in range(1, 9)
    ]
    columns = ["images", "rule", "measure", "layer", "read", "n", "units"]
    table = pd.DataFrame(rows, columns=columns)
    value = 0.5 + table.index / 410
    return table.assign(value=value, low=value - 0.1 - table.index / 900, high=value + 0.2)


def test_every_panel_shows_its_measure_with_intervals(profile):
    figure = draw.figure(profile)
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(draw.TITLES.values())
    for axes, measure in zip(figure.axes, MEASURES, strict=True):
        lines = [line for line in axes.lines if line.get_label() in LABELS]
        bands = drawn.bands(axes)
        assert [line.get_label() for line in lines] == LABELS
        assert [to_hex(line.get_color()) for line in lines] == COLOURS
        assert [line.get_linestyle() for line in lines] == [look(rule).line for _, rule in GROUPS]
        assert [band.colour for band in bands] == COLOURS
        for (kind, rule), line, band in zip(GROUPS, lines, bands, strict=True):
            chosen = (profile["images"] == kind) & (profile["rule"] == rule)
            own = profile[chosen & (profile["measure"] == measure)]
            np.testing.assert_allclose(line.get_xydata(), own[["layer", "value"]])
            np.testing.assert_allclose(np.array(band[1:]).T, own[["layer", "low", "high"]])
        (read,) = (line for line in axes.lines if line.get_label() == "layer read by the LLM")
        assert set(read.get_xdata()) == {7}


def test_it_fits_the_page_and_names_every_line(profile):
    figure = draw.figure(profile)
    drawn.check_print(figure, TEXT)
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == [*LABELS, "layer read by the LLM"]


def test_the_table_has_a_row_for_each_layer(profile, tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    cells = draw.table(profile, settings("02_attention_by_layer")).cells
    assert len(cells) == len(GROUPS) * 8
    first = cells[(cells["images"] == "photographs") & (cells["scores"] == "cls")].iloc[1]
    assert first["layer"] == "2" and first["images measured"] == "40" and first["units"] == "16"
    assert first["gini"] == "0.502 [0.401, 0.702]"
    assert first["top 10 % share"] == "0.541 [0.423, 0.741]"
