"""Figure 03 shows the curve and the numbers it is given."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from tests import drawn
from vzlib.experiments.softmax_gradient import draw, tell
from vzlib.notebooks import settings
from vzlib.plotting import TEXT, look

LAYERS = (1, 2, 3)
LENGTHS = (2, 9)
BOUNDS = ["value", "low", "high"]


def summary(queries=("all", "cls")):
    """Rows of `tell.summary`, other ones for each of `queries`; block 2 is read."""
    rows = []
    for asked in queries:
        more = 10.0 if asked == "all" else 0.0
        for layer in LAYERS:
            for quantity, value in (
                ("mass_exponential", 20.0 + layer + more),
                ("mass_growing", 70.0 + 2 * layer + more),
                ("softmaxes_past_peak", 10.0 * layer + more),
            ):
                bounds = (value, value - layer, value + 2 * layer)
                rows.append((asked, layer, quantity, np.nan, 4, *bounds))
            for place in (0.01, 0.1, 0.7):
                for what, value in (("tokens_at", 40 + layer), ("mass_at", 50 + more)):
                    bounds = (value, value - place, value + 1)
                    rows.append((asked, layer, what, place, 4, *bounds))
    table = pd.DataFrame(rows, columns=["queries", "layer", "quantity", "s", "n", *BOUNDS])
    return table.assign(read=table["layer"] == 2)


@pytest.fixture(params=[("all", "cls"), ("all",)], ids=["with CLS", "without"])
def shown(request):
    """The panels, the rows, and whose attention the lower panels are about."""
    table = summary(request.param)
    figure = draw.figure(tell.theory(settings("03_softmax_gradient", lengths=LENGTHS)), table, 0.05)
    return figure, table, request.param[-1]


def own(table, quantity, queries):
    return table[(table["quantity"] == quantity) & (table["queries"] == queries)]


def test_the_curves_are_those_of_the_formula(shown):
    curve, growth = shown[0].axes[:2]
    theory = tell.theory(settings("03_softmax_gradient", lengths=LENGTHS))
    solid = [
        line for line in curve.lines if line.get_linestyle() == "-" and len(line.get_xdata()) > 1
    ]
    for colour, line, (_, expected) in zip(
        draw.LENGTHS, solid, theory.groupby("length"), strict=False
    ):
        assert line.get_color() == colour
        np.testing.assert_allclose(line.get_xydata(), expected[["z", "gradient"]])
    rate = next(line for line in growth.lines if line.get_label() == "growth rate, 1 − 2s")
    s, value = rate.get_data()
    np.testing.assert_allclose(value[1:-1], 1 - 2 * s[1:-1], atol=0.01)


def test_parts_stack_to_the_whole_at_their_blocks(shown):
    figure, table, queries = shown
    exponential, growing = (
        own(table, name, queries)["value"].to_numpy()
        for name in ("mass_exponential", "mass_growing")
    )
    bars = drawn.bars(figure.axes[4])
    bottoms = np.concatenate([np.zeros(3), exponential, growing])
    tops = np.concatenate([exponential, growing, np.full(3, 100.0)])
    assert [bar.middle for bar in bars] == pytest.approx([*LAYERS] * 3)
    assert [bar.bottom for bar in bars] == pytest.approx(bottoms)
    assert [bar.top for bar in bars] == pytest.approx(tops)
    colours = [*(colour for _, colour in draw.PARTS), draw.FALLING]
    assert [bar.colour for bar in bars] == [to_hex(c) for c in colours for _ in LAYERS]
    ends = np.array([whisker[:, 1] for whisker in drawn.whiskers(figure.axes[4])])
    bounds = pd.concat([own(table, name, queries) for name, _ in draw.PARTS])
    np.testing.assert_allclose(ends, bounds[["low", "high"]])


def test_bands_are_intervals(shown):
    figure, table, queries = shown
    read = table[table["layer"] == 2]
    spread = [own(read, name, queries) for name in ("tokens_at", "mass_at")]
    for band, rows in zip(drawn.bands(figure.axes[3]), spread, strict=True):
        np.testing.assert_allclose(np.array(band[1:]).T, rows[["s", "low", "high"]])
    looks = {"cls": "cls", "all": "mean"}
    there = [name for name in looks if name in set(table["queries"])]
    bands = drawn.bands(figure.axes[5])
    assert [band.colour for band in bands] == [to_hex(look(looks[name]).colour) for name in there]
    for band, name in zip(bands, there, strict=True):
        rows = own(table, "softmaxes_past_peak", name)
        np.testing.assert_allclose(np.array(band[1:]).T, rows[["layer", "low", "high"]])
    for line, name in zip(figure.axes[5].lines, there, strict=False):
        rows = own(table, "softmaxes_past_peak", name)
        np.testing.assert_allclose(line.get_xydata(), rows[["layer", "value"]])


def test_it_fits_the_page_and_says_which_block_is_read(shown):
    drawn.check_print(shown[0], TEXT)
    assert "d  block 2: sizes of attention" in drawn.words(shown[0])


def test_the_heat_map_is_the_jacobian_row_by_row(shown):
    panel = shown[0].axes[2]
    (cells,) = panel.collections
    share = np.exp(draw.SHOWN) / np.exp(draw.SHOWN).sum()
    expected = np.diag(share) - np.outer(share, share)  # of the definition
    count = len(share)
    np.testing.assert_allclose(cells.get_array().reshape(count, count), expected, atol=1e-12)
    assert cells.get_clim() == (-0.25, 0.25)
    assert [label.get_text() for label in panel.get_yticklabels()] == [f"{s:.2f}" for s in share]
    assert panel.yaxis_inverted()  # the first row is on top
