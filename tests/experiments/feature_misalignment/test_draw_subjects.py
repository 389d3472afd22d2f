"""The figure of subjects shows what it is given, beside chance."""

import numpy as np
import pandas as pd
import pytest

from tests import drawn
from vzlib.experiments.feature_misalignment import draw_subjects
from vzlib.experiments.feature_misalignment.tell_subjects import KEYS, NULLS
from vzlib.plotting import TEXT

LAYERS = (1, 2, 3)


@pytest.fixture
def tables():
    means, ratios = [], []
    for number, images in enumerate(("photographs", "pets")):
        for layer in LAYERS:
            at = (images, "cls", layer, layer == 2, "place", "background")
            for count in (6, 64, 128):
                value = 10.0 * layer + number + count / 100
                means.append((*at, count, "", value, value - 3, value + 4, np.nan, 10, 10))
                for place, null in enumerate(NULLS):
                    means.append((*at, count, null, 1.0, 0.0, 2.0, 50.0 + place + count, 10, 10))
            ratios.append(
                (images, layer, layer == 2, "dominant/own", 1.0 + layer, 0.5, 9.0, 10, 10)
            )
        ratios.append((images, 1, False, "replaced", 40.0, 30.0, 50.0, 10, 10))
    bounds = ["value", "low", "high"]
    return (
        pd.DataFrame(means, columns=[*KEYS, "against", *bounds, "null", "n", "units"]),
        pd.DataFrame(ratios, columns=["images", "layer", "read", "what", *bounds, "n", "units"]),
    )


def test_a_panel_for_each_source_of_images_with_chance_in_grey(tables):
    figure = draw_subjects.figure(*tables)
    photographs, pets, ratios = figure.axes
    few, budget, *nulls, read = photographs.lines
    np.testing.assert_allclose(few.get_xydata(), [(layer, 10 * layer + 0.06) for layer in LAYERS])
    assert budget.get_ydata()[0] == pytest.approx(10.64)
    assert [line.get_ydata()[0] for line in nulls] == [56, 57, 58]
    assert read.get_xdata()[0] == 2
    assert pets.lines[0].get_ydata()[0] == pytest.approx(11.06)
    band = drawn.bands(photographs)[0]
    np.testing.assert_allclose(band.low, few.get_ydata() - 3)
    assert photographs.get_title(loc="left") == "photographs (10 units)"
    values = [container.lines[0].get_ydata().tolist() for container in ratios.containers]
    assert values == [[2.0, 3.0, 4.0], [40.0]] * 2
    drawn.check_print(figure, TEXT)
