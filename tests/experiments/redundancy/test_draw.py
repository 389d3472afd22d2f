"""Figure 01 and its table show the numbers they are given, in the colours of their looks."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from tests import drawn
from vzlib.experiments.redundancy import draw, tell
from vzlib.notebooks import settings
from vzlib.plotting import TEXT, look

GROUPS = [(kind, rule) for kind in ("photographs", "scenes") for rule in ("cls", "mean")]
DOMINANT = (4, 9)
COLOURS = [to_hex(look(kind).colour) for kind, _ in GROUPS]
DASHES = [look(rule).line for _, rule in GROUPS]


@pytest.fixture
def rows():
    """Rows of `measure`, of one image of 36 patches for each kind and rule."""
    random = np.random.default_rng(0)
    return pd.concat(
        pd.DataFrame(
            {
                "images": kind, "rule": rule, "name": "one", "patch": np.arange(36),
                "weight": np.sort(random.dirichlet(np.full(36, 0.3)))[::-1],
            }
        )
        for kind, rule in GROUPS
    )  # fmt: skip


@pytest.fixture
def curves(rows):
    held = 100 * rows.groupby(["images", "rule"], sort=False)["weight"].cumsum()
    bounds = rows[["images", "rule"]].assign(tokens=rows["patch"] + 1, value=held)
    below, above = bounds["tokens"] / 36, bounds["tokens"] / 12  # different everywhere
    return bounds.assign(low=held - below, high=held + above)


def test_the_attention_held_is_drawn_with_its_intervals(rows, curves):
    axes = draw.figure(tell.histogram(rows), curves, DOMINANT).axes[1]
    lines = [line for line in axes.lines if line.get_label() in legend(axes)]
    bands = drawn.bands(axes)
    assert len(lines) == len(bands) == len(GROUPS)
    assert [to_hex(line.get_color()) for line in lines] == COLOURS
    assert [band.colour for band in bands] == COLOURS
    assert [line.get_linestyle() for line in lines] == DASHES
    for group, line, band in zip(GROUPS, lines, bands, strict=True):
        own = curves[(curves["images"] == group[0]) & (curves["rule"] == group[1])]
        np.testing.assert_allclose(line.get_xydata(), own[["tokens", "value"]])
        np.testing.assert_allclose(np.array(band[1:]).T, own[["tokens", "low", "high"]])
        assert [line.get_xdata()[place] for place in line.get_markevery()] == list(DOMINANT)


def legend(axes):
    return axes.get_legend_handles_labels()[1]


def test_the_histogram_is_drawn_as_it_was_counted(rows, curves):
    counted = tell.histogram(rows)
    axes = draw.figure(counted, curves, DOMINANT).axes[0]
    assert [to_hex(patch.get_edgecolor()) for patch in axes.patches] == COLOURS
    assert [patch.get_linestyle() for patch in axes.patches] == DASHES
    for group, patch in zip(GROUPS, axes.patches, strict=True):
        own = counted[(counted["images"] == group[0]) & (counted["rule"] == group[1])]
        values, edges, _ = patch.get_data()
        np.testing.assert_array_equal(values, own["percent"])
        np.testing.assert_array_equal(edges, [*own["low"], own["high"].iloc[-1]])


def test_it_fits_the_page_and_names_every_line(rows, curves):
    figure = draw.figure(tell.histogram(rows), curves, DOMINANT)
    drawn.check_print(figure, TEXT)
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == [f"{look(kind).label}, {look(rule).label}" for kind, rule in GROUPS]


def test_the_table_shows_every_number_with_its_interval(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    columns = ["images", "rule", "quantity", "value", "low", "high", "even", "n", "units"]
    row = ("scenes", "cls", "held, %", 51.25, 2.5, 99.75, 2.0, 6, 3)
    table = draw.table(pd.DataFrame([row], columns=columns), settings("01_redundancy"))
    shown = ["scenes", "cls", "held, %", "51.2 [2.5, 99.8]", "2.0", "6", "3"]
    assert table.cells.iloc[0].tolist() == shown
    assert (tmp_path / "01_redundancy_table.tex").is_file()
