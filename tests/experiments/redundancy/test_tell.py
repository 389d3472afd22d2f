"""What is told of made-up weights, worked out by hand."""

import numpy as np
import pytest

from tests.experiments.redundancy.made_up import rows_of
from vzlib.experiments.redundancy import measure, tell
from vzlib.notebooks import settings

CHOSEN = settings("01_redundancy", count=3, dominant=(2, 9))


def test_the_numbers_of_made_up_weights():
    rows = rows_of(np.ones(100) / 200, [0.4, 0.1, *np.zeros(98)], cls=0.5)
    table = tell.summary(rows, CHOSEN).set_index("quantity")
    assert (table["n"] == 2).all() and (table["units"] == 2).all()
    held = table.loc["attention held by the 2 dominant tokens, %"]
    half = 12.706 * 49  # Student's t for two images, which differ by 98, times the standard error
    bounds = held[["value", "low", "high", "even"]].tolist()
    assert bounds == pytest.approx([51, 51 - half, 51 + half, 2], rel=1e-4)
    assert table.loc["attention on the CLS token itself, %", "value"] == pytest.approx(50)
    for near in ("the largest weight", "an even share"):
        assert table.loc[f"tokens below 0.1 of {near}, %", "value"] == pytest.approx(49)
    enough = table.loc["tokens that hold 90% of the attention"]
    assert enough[["value", "even"]].tolist() == pytest.approx([(90 + 2) / 2, 90])


def test_the_curve_rises_to_all_of_the_attention():
    curve = tell.cumulative(rows_of([0.5, 0.3, 0.2], [0.2, 0.7, 0.1]))
    assert curve["value"].tolist() == pytest.approx([60, 85, 100])
    half = [12.706 * error for error in (10, 5, 0)]
    assert curve["low"].tolist() == pytest.approx(curve["value"] - half, rel=1e-4)
    assert curve["high"].tolist() == pytest.approx(curve["value"] + half, rel=1e-4)
    assert curve["tokens"].tolist() == [1, 2, 3]


def test_every_token_is_in_the_histogram_however_small_its_weight():
    table = tell.histogram(rows_of([0.5, 0.3, 0.2, 0.0], [0.25, 0.25, 0.25, 0.25]))
    assert table["percent"].sum() == pytest.approx(100)
    assert table["percent"].iloc[0] == pytest.approx(100 / 8)  # the one without any attention
    even = table[(table["low"] <= 1.000001) & (table["high"] > 1.000001)]
    assert even["percent"].tolist() == pytest.approx([100 * 5 / 8])  # 4 of 0.25, and 0.3
    assert table["high"].iloc[-1] == 10


def test_examples_are_the_first_images_with_their_maps(tiny_folder, own_store):
    chosen = CHOSEN.model_copy(update={"model": tiny_folder(), "images": ("scenes",)})
    rows = measure.measure(chosen)
    images, maps, notes, *_ = tell.examples(rows, chosen, each=2)
    assert list(images) == ["scene 0", "scene 1"]
    assert {rule: len(each) for rule, each in maps.items()} == {"cls": 2, "mean": 2}
    second = rows[(rows["name"] == "scene 1") & (rows["rule"] == "mean") & (rows["patch"] >= 0)]
    weights = second["weight"].to_numpy(dtype=float)
    assert np.allclose(maps["mean"][1], (weights / weights.sum()).reshape(6, 6))
    assert notes["mean"][1] == f"2 hold {np.sort(weights)[-2:].sum() / weights.sum():.0%}"
