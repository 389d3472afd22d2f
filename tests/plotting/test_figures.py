"""Figures draw what they are given, at print size, in letters that can be read."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from vzlib.experiments.attention_by_layer.draw import TITLES, attention_by_layer
from vzlib.experiments.attention_by_layer.measure import MEASURES
from vzlib.plotting import TEXT, look
from vzlib.plotting.maps import map_grid, map_rows, overlay

RANDOM = np.random.default_rng(0)
GROUPS = [(kind, rule) for kind in ("photographs", "scenes") for rule in ("cls", "mean")]
IMAGE = RANDOM.integers(0, 256, (48, 48, 3), dtype=np.uint8)
MAP = RANDOM.random((6, 6))


def profile():
    return pd.DataFrame(
        [
            (kind, rule, measure, layer, layer == 7, 0.5 + layer / 50, 0.4, 0.9)
            for kind, rule in GROUPS
            for measure in MEASURES
            for layer in range(1, 9)
        ],
        columns=["images", "rule", "measure", "layer", "read", "value", "low", "high"],
    )


def examples():
    return {"camera": (IMAGE, {"layer 1": MAP, "layer 2": MAP}), "scene 0": (IMAGE, {"": MAP})}


FIGURES = {
    "attention_by_layer": lambda: attention_by_layer(profile()),
    "map_grid": lambda: map_grid({"one": IMAGE}, {"cls": [MAP]}, {"cls": ["4 hold 50%"]}),
    "map_rows": lambda: map_rows(examples()),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_have_the_text_width_and_letters_of_six_points(name):
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    assert figure.get_figwidth() == TEXT
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert texts and min(text.get_fontsize() for text in texts) >= 6


@pytest.mark.parametrize("name", ["attention_by_layer"])
def test_the_legend_stays_on_the_page_and_names_every_line(name):
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    (legend,) = figure.legends
    page, box = figure.bbox, legend.get_window_extent()
    assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0
    labels = {text.get_text() for text in legend.get_texts()}
    assert {f"{look(kind).label}, {look(rule).label}" for kind, rule in GROUPS} <= labels


def test_layers_are_drawn_with_their_intervals_in_every_panel():
    figure = attention_by_layer(profile())
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(TITLES.values())
    for axes in figure.axes:
        bands = [each for each in axes.collections if isinstance(each, PolyCollection)]
        assert len(bands) == len(GROUPS)
        lines = [line for line in axes.lines if len(line.get_xdata()) == 8]
        assert [line.get_color() for line in lines] == [look(kind).colour for kind, _ in GROUPS]
        assert np.allclose(lines[0].get_ydata(), 0.5 + np.arange(1, 9) / 50)


def test_every_measure_has_a_panel():
    assert set(TITLES) == set(MEASURES)


def test_a_map_is_brightest_where_most_of_the_attention_lies():
    axes = Figure().subplots()
    weights = np.zeros((24, 24))
    weights[1, 4] = 1.0
    overlay(axes, IMAGE, weights)
    under, over = axes.images
    assert under.get_extent() == over.get_extent()
    assert np.array_equal(over.get_alpha() > 0, weights > 0)


def test_a_map_without_weight_is_dark_and_no_error():
    axes = Figure().subplots()
    overlay(axes, IMAGE, np.zeros((6, 6)))
    assert (axes.images[1].get_alpha() == 0).all()
