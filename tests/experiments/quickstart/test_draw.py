"""Figure 00 shows the answers and which tokens stay."""

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from tests import drawn
from vzlib.experiments.quickstart import draw
from vzlib.plotting import TEXT

GRID = 6
CELLS = pd.DataFrame(
    [(row, column) for row in range(GRID) for column in range(GRID)], columns=["row", "column"]
)


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
    figure = draw.figure(answers, tokens, {"scene": picture})
    shown = {text.get_text(): text.get_color() for text in figure.axes[3].texts}
    assert shown["✓ red"] == draw.RIGHT
    assert shown["✗ blue"] == draw.WRONG
    assert {"36 tokens", "16 tokens", "what ? → red"} <= set(shown)
    stays = figure.axes[2].images[0].get_array()
    np.testing.assert_allclose(stays[20:], 200 / 255)  # dominant patches as they are
    assert not np.isclose(stays[:20], 200 / 255).all()
    frames = [(*frame.get_xy(), to_hex(frame.get_edgecolor())) for frame in figure.axes[2].patches]
    side = 30 / GRID
    dominant = tokens.loc[tokens["dominant"], ["column", "row"]].to_numpy() * side - 0.5
    assert frames == [*((*corner, "#000000") for corner in dominant), (-0.5, -0.5, "#ffffff")]
    received = figure.axes[1].images[0].get_array()
    np.testing.assert_allclose(received, tokens["received"].to_numpy().reshape(GRID, GRID))
    assert np.array_equal(figure.axes[0].images[0].get_array(), picture)
    drawn.check_print(figure, TEXT, letters=5.8)
