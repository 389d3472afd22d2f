"""The maps of named points mark them and say their shares."""

import numpy as np
import pandas as pd

from tests import drawn
from vzlib.experiments.feature_misalignment import draw_points

GRID = 6
CELLS = pd.DataFrame(
    [(row, column) for row in range(GRID) for column in range(GRID)], columns=["row", "column"]
)


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
    figure = draw_points.figure(maps, shares, picture, radius=3.0)
    assert [line.get_xydata().tolist() for line in figure.axes[1].lines] == [[[4.0, 2.0]]]
    assert "near 30 % (area 5 %)\ndominant 60 % (area 9 %)" in drawn.words(figure)
