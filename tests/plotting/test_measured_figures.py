"""The figures of notebooks 00, 03 and 04 show what the rows say, for made-up rows."""

import numpy as np
import pandas as pd
import pytest

from vzlib.experiments.feature_misalignment.draw import feature_misalignment
from vzlib.experiments.feature_misalignment.draw_points import attention_from_points
from vzlib.experiments.quickstart.draw import RIGHT, WRONG, quickstart

GRID = 6
CELLS = pd.DataFrame(
    [(row, column) for row in range(GRID) for column in range(GRID)], columns=["row", "column"]
)


def texts(figure):
    figure.canvas.draw()  # as saving would: ticks and legends are made now
    return {text.get_text() for text in figure.findobj(lambda part: hasattr(part, "get_text"))}


def test_quickstart_ticks_right_answers_and_crosses_wrong_ones():
    answers = pd.DataFrame(
        [("scene", "any", "what ?", "red", "blue", 16, "red", 36, False, True)],
        columns=[
            "image", "task", "question", "truth", "zipped", "zipped_positions", "vanilla",
            "vanilla_positions", "zipped_right", "vanilla_right",
        ],
    )  # fmt: skip
    tokens = CELLS.assign(image="scene", received=np.arange(1, 37) / 999, group=0, target=False)
    tokens["dominant"] = tokens["row"] > 3
    tokens.loc[tokens["dominant"], "group"] = -1
    tokens.loc[0, "target"] = True
    picture = np.full((30, 30, 3), 200, np.uint8)
    figure = quickstart(answers, tokens, {"scene": picture})
    shown = {text.get_text(): text.get_color() for text in figure.axes[3].texts}
    assert shown["✓ red"] == RIGHT
    assert shown["✗ blue"] == WRONG
    assert {"36 tokens", "16 tokens", "what ? → red"} <= set(shown)
    drawn = figure.axes[2].images[0].get_array()
    np.testing.assert_allclose(drawn[20:], 200 / 255)  # dominant patches as they are
    assert not np.isclose(drawn[:20], 200 / 255).all()
    assert len(figure.axes[2].patches) == 12 + 1


@pytest.mark.parametrize("cls", [True, False])
def test_feature_misalignment_draws_every_kind_and_chance(cls):
    targets = ["itself", "own object", "other objects", "background", "dominant"]
    targets += ["CLS"] if cls else []
    rows = [
        ("attention", kind, target, layer, 64, 9, 5, 2.0, 1.0, 2.0, 1.5, 2.5)
        for kind in ("object", "shape", "number", "word", "digit", "blank")
        for target in targets
        for layer in (1, 2, 3)
    ]
    for retained in (64, 128):
        for target in ("background", "periphery"):
            place = (3, retained, 99, 5, 40.0, 80.0, 0.5, 0.4, 0.6)
            rows.append(("place", "object", target, *place))
    for kind in ("shape", "blank"):
        rows.append(("distance", kind, "most attended", 3, 0, 9, 5, 3.0, 12.0, 0.25, 0.2, 0.3))
    columns = [
        "quantity", "kind", "target", "layer", "retained", "n", "scenes", "share", "expected",
        "value", "low", "high",
    ]  # fmt: skip
    figure = feature_misalignment(pd.DataFrame(rows, columns=columns))
    shown = texts(figure)
    assert ("CLS" in shown) == cls
    assert {"a word (n = 9)", "a blank outline (n = 9)", "chance"} <= shown
    assert [bar.get_height() for bar in figure.axes[2].patches] == [40.0] * 4


def test_maps_mark_the_point_and_say_the_shares():
    maps = CELLS.assign(
        photograph="camera", what="the head", query_row=2, query_column=4, dominant=False,
        attention=np.arange(1, 37) / 999, received=np.arange(1, 37) / 999,
    )  # fmt: skip
    shares = pd.DataFrame(
        [("camera", "the head", 30.0, 5.0, 60.0, 9.0, 1.0)],
        columns=["photograph", "what", "near", "near_area", "dominant", "dominant_area", "CLS"],
    )
    picture = {"camera": np.zeros((60, 60, 3), np.uint8)}
    figure = attention_from_points(maps, shares, picture, radius=3.0)
    assert [line.get_xydata().tolist() for line in figure.axes[1].lines] == [[[4.0, 2.0]]]
    assert "near 30 % (area 5 %)\ndominant 60 % (area 9 %)" in texts(figure)
