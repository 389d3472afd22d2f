"""Maps lie over their images, brightest where most of the attention does."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests import drawn
from vzlib.plotting import TEXT
from vzlib.plotting.maps import map_grid, map_rows, overlay

RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.integers(0, 256, (48, 48, 3), dtype=np.uint8)
MAP, OTHER = RANDOM.random((2, 6, 6))


def rows_of_maps():
    return map_rows(
        {"camera": (IMAGE, {"layer 1": MAP, "layer 2": OTHER}), "scene 0": (IMAGE, {"": MAP})}
    )


@pytest.mark.parametrize(
    "figure",
    [lambda: map_grid({"one": IMAGE}, {"cls": [MAP]}, {"cls": ["4 hold 50%"]}), rows_of_maps],
    ids=["grid", "rows"],
)
def test_maps_fit_the_page(figure):
    drawn.check_print(figure(), TEXT)


def test_a_grid_shows_each_map_below_its_image_with_its_note():
    notes = {"cls": ["4 hold 50%", "4 hold 60%"]}
    figure = map_grid({"one": IMAGE, "two": IMAGE[::-1]}, {"cls": [MAP, OTHER]}, notes)
    one, two, *below = figure.axes
    assert np.array_equal(one.images[0].get_array(), IMAGE)
    assert np.array_equal(two.images[0].get_array(), IMAGE[::-1])
    assert below[0].get_ylabel() == "CLS row"
    for axes, weights, note in zip(below, (MAP, OTHER), notes["cls"], strict=True):
        assert axes.images[1].get_array().argmax() == weights.argmax()
        assert axes.get_xlabel() == note


def test_rows_show_the_maps_of_their_image_under_titles():
    image, first, second, *_ = rows_of_maps().axes
    assert np.array_equal(image.images[0].get_array(), IMAGE)
    assert (first.get_title(loc="center"), second.get_title(loc="center")) == ("layer 1", "layer 2")
    assert first.images[1].get_array().argmax() == MAP.argmax()
    assert second.images[1].get_array().argmax() == OTHER.argmax()


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


def test_an_outlined_subject_is_where_it_is_on_the_image():
    subject = np.zeros((48, 48), dtype=np.float32)
    subject[10:20, 0:30] = 1
    subject[10, 29] = np.nan
    figure = map_grid({"one": IMAGE, "two": IMAGE}, {"cls": [MAP, MAP]}, None, {"two": subject})
    one, two, *_ = figure.axes
    assert not one.collections
    (line,) = two.collections
    (path,) = line.get_paths()
    (left, top), (right, bottom) = path.vertices.min(0), path.vertices.max(0)
    assert (left, right, top, bottom) == (-0.5, 29.5, 9.5, 19.5)
