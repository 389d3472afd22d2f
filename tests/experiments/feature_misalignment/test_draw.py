"""Figure 04 shows the ratios and shares it is given, with their intervals, beside chance."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer

from tests import drawn
from vzlib.experiments.feature_misalignment import draw
from vzlib.experiments.feature_misalignment.measure import TARGETS
from vzlib.plotting import TEXT, look

COLUMNS = [
    "quantity", "kind", "target", "layer", "retained", "n", "scenes", "share", "expected", "value",
    "low", "high",
]  # fmt: skip
BUDGETS = (64, 128)


def summary(cls):
    """Rows of `tell.summary`, every ratio and bound of them another; block 3 is read."""
    targets = [target for target in TARGETS if cls or target != "CLS"]
    keys = [
        ("attention", kind, target, layer, 64)
        for kind in ("object", *draw.KINDS)
        for target in targets
        for layer in (1, 2, 3)
    ]
    keys += [("place", "object", target, 3, budget) for target in ("background", "periphery")
             for budget in BUDGETS]  # fmt: skip
    keys += [("distance", kind, "most attended", 3, 0) for kind in ("shape", "blank")]
    rows = []
    for number, key in enumerate(keys):
        value = 0.5 + number / 400
        bounds = (value, value - 0.1 - number / 900, value + 0.2 + number / 800)
        rows.append((*key, 9, 5, 40 * value, 40.0, *bounds))
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.fixture(params=[True, False], ids=["with CLS", "without"])
def shown(request):
    table = summary(request.param)
    return draw.figure(table), table


def own(table, quantity, **wanted):
    rows = table[table["quantity"] == quantity]
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    return rows


def test_every_kind_of_thing_has_its_points_and_intervals(shown):
    figure, table = shown
    axes = figure.axes[0]
    points = [each for each in axes.containers if isinstance(each, ErrorbarContainer)]
    assert len(points) == len(draw.KINDS)
    ends = iter(drawn.whiskers(axes))
    for (kind, (colour, _, label)), container in zip(draw.KINDS.items(), points, strict=True):
        rows = own(table, "attention", kind=kind, layer=3)  # in the order of TARGETS
        line = container.lines[0]
        assert line.get_color() == colour and container.get_label() == f"{label} (n = 9)"
        np.testing.assert_allclose(line.get_ydata(), rows["value"])
        assert np.round(line.get_xdata().astype(float)).tolist() == [*range(len(rows))]
        for _, row in rows.iterrows():
            np.testing.assert_allclose(next(ends)[:, 1], row[["low", "high"]].astype(float))
    assert ("CLS" in drawn.words(figure)) == ("CLS" in set(table["target"]))


def test_objects_are_followed_from_block_to_block(shown):
    figure, table = shown
    axes = figure.axes[1]
    there = [target for target in draw.COLOURS if target in set(table["target"])]
    bands, lines = drawn.bands(axes), axes.lines[: len(there)]
    assert [line.get_label() for line in lines] == there
    for target, line, band in zip(there, lines, bands, strict=True):
        rows = own(table, "attention", kind="object", target=target)
        assert line.get_color() == draw.COLOURS[target][0]
        assert band.colour == to_hex(draw.COLOURS[target][0])
        np.testing.assert_allclose(line.get_xydata(), rows[["layer", "value"]])
        np.testing.assert_allclose(np.array(band[1:]).T, rows[["layer", "low", "high"]])


def test_places_of_dominant_tokens_stand_in_order_beside_chance(shown):
    figure, table = shown
    axes = figure.axes[2]
    rows = own(table, "place")  # background first, then periphery, budgets rising
    bars = drawn.bars(axes)
    assert [(bar.bottom, bar.top) for bar in bars] == [(0, share) for share in rows["share"]]
    assert [bar.middle for bar in bars] == pytest.approx(axes.get_xticks())
    assert sorted(bar.middle for bar in bars) == [bar.middle for bar in bars]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == [str(budget) for budget in BUDGETS] * 2
    assert bars[0].colour == bars[1].colour == to_hex(look("background").colour)
    assert bars[2].colour == bars[3].colour != bars[0].colour
    ends = np.array([end[:, 1] for end in drawn.whiskers(axes)])
    np.testing.assert_allclose(ends, 40 * rows[["low", "high"]])
    chance = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [set(line.get_ydata()) for line in chance] == [{40.0}] * 2
    assert "chance" in drawn.words(figure)


def test_distances_are_drawn_with_their_intervals(shown):
    figure, table = shown
    axes, rows = figure.axes[3], own(table, "distance")
    points = [each.lines[0] for each in axes.containers if isinstance(each, ErrorbarContainer)]
    assert [line.get_xdata()[0] for line in points] == pytest.approx(rows["share"])
    assert [line.get_color() for line in points] == [draw.KINDS[k][0] for k in rows["kind"]]
    ends = np.array([end[:, 0] for end in drawn.whiskers(axes)])
    np.testing.assert_allclose(ends, 40 * rows[["low", "high"]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a shape", "a blank outline"]


def test_it_fits_the_page(shown):
    drawn.check_print(shown[0], TEXT)
