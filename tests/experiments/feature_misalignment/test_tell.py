"""Ratios with intervals over scenes, worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from vzlib.experiments.feature_misalignment import tell

COLUMNS = [
    "scene", "quantity", "kind", "target", "layer", "retained", "n", "share", "expected",
]  # fmt: skip


def test_things_of_a_kind_count_by_their_tokens_and_blanks_are_no_objects():
    place = ("peak", "shape", "own object", 3, 0)
    rows = [
        (0, *place, 1, 8.0, 2.0),
        (0, *place, 3, 4.0, 2.0),
        (1, *place, 4, 9.0, 2.0),
        (1, "peak", "word", *place[2:], 4, 1.0, 2.0),
        (0, "peak", "blank", *place[2:], 5, 7.0, 2.0),
        (1, "peak", "blank", *place[2:], 5, 7.0, 2.0),
    ]
    table = tell.summary(pd.DataFrame(rows, columns=COLUMNS)).set_index("kind")
    assert table.loc["shape", ["n", "scenes"]].tolist() == [8, 2]
    assert table.loc["shape", "share"] == pytest.approx((8 + 12 + 36) / 8)
    assert table.loc["shape", "value"] == pytest.approx(7 / 2)
    half = 12.706205 * (36 - 20) / 8 / 2  # Student's t for two scenes, times half their distance
    assert table.loc["shape", "high"] - 3.5 == pytest.approx(half)
    assert table.loc["object", "n"] == 12
    assert table.loc["object", "share"] == pytest.approx((8 + 12 + 36 + 4) / 12)
    assert table.loc["blank", ["value", "low", "high"]].tolist() == pytest.approx([3.5] * 3)


def test_one_scene_alone_has_no_interval():
    rows = [(0, "peak", "word", "own object", 3, 0, 4, 3.0, 2.0)]
    table = tell.summary(pd.DataFrame(rows, columns=COLUMNS)).set_index("kind")
    assert table.loc["word", "value"] == 1.5
    assert np.isnan(table.loc["word", ["low", "high"]].astype(float)).all()


def test_shares_of_even_attention_are_areas():
    cells = [(row, column) for row in range(24) for column in range(24)]
    maps = pd.DataFrame(cells, columns=["row", "column"]).assign(
        photograph="camera", what="corner", query_row=0, query_column=0, attention=0.001, cls=0.424
    )
    maps["dominant"] = maps["row"] < 6
    (shares,) = tell.shares_of_points(maps, 1.0).to_dict("records")
    assert shares["near"] == pytest.approx(100 * 3 / 576)  # itself, right of it, below
    assert shares["near_area"] == pytest.approx(100 * 3 / 576)
    assert shares["dominant"] == pytest.approx(25)
    assert shares["CLS"] == pytest.approx(42.4)
