"""Figure 00 shows the answers and which tokens stay."""

import functools
from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest
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


SHORT = ("is there a dog ?", "no", "no", "yes")
LONG = [
    ("x" * 150, "no", "no", "no"),
    ("W" * 300, "W" * 80, "W" * 80, "M" * 80),
    ("what does it say " * 30, "a b " * 40, "it says that " * 20, "nothing at all " * 20),
    ("one\n\n two\tthree\n" * 20, "no\nno\nno", "a\nb\nc\nd\ne\nf", " \n"),
    ("\U0001f996 and \u5b57 " * 40, "\u5b57" * 40, "\U0001f996" * 40, "\u5b57" * 40),
    ("is it $5 or $10 ? " * 20, "$$", r"$\foo" * 20, "$" * 99),
]


@pytest.mark.filterwarnings("ignore:no installed font")
@pytest.mark.parametrize("asked", LONG)
@pytest.mark.parametrize("others", [0, 4], ids=["alone", "of five"])
def test_texts_of_any_length_leave_the_pictures_their_size_and_stay_in_their_panel(asked, others):
    short, long = (_asked(one, others) for one in (SHORT, asked))
    for panel, same in zip(long.axes, short.axes, strict=True):
        np.testing.assert_allclose(panel.get_position().bounds, same.get_position().bounds)
    page, panel = long.bbox, long.axes[3].get_window_extent()
    before, after = [], []
    for text in long.axes[3].texts[: 2 + 3 * (others + 1)]:
        box = text.get_window_extent()
        assert panel.x0 - 3 <= box.x0 and box.x1 <= page.x1
        (before if box.x0 < panel.x0 + 0.4 * panel.width else after).append(box)
    for column in (before, after):  # nothing stands on something else
        column.sort(key=lambda box: -box.y1)
        for upper, lower in pairwise(column):
            assert lower.y1 <= upper.y0 + 4
    for left, right in product(before, after):
        assert left.x1 <= right.x0 or left.y1 <= right.y0 + 4 or right.y1 <= left.y0 + 4


def test_a_long_question_keeps_its_truth():
    (question,) = (text.get_text() for text in _asked(LONG[0], 0).axes[3].texts[2:3])
    assert question.endswith("… → no") or question.endswith("x → no")
    (cut,) = (text.get_text() for text in _asked(LONG[0], 4).axes[3].texts[2:3])
    assert cut.endswith("x… → no") and "\n" not in cut


@functools.cache
def _asked(asked, others):
    """The figure of one question that is asked so many times more, laid out."""
    columns = ["question", "truth", "vanilla", "zipped"]
    counts = {"vanilla_positions": 36, "zipped_positions": 16}
    right = {"vanilla_right": True, "zipped_right": False}
    answers = pd.DataFrame([asked] * (others + 1), columns=columns)
    answers = answers.assign(image="scene", **counts, **right)
    tokens = CELLS.assign(image="scene", received=0.1, group=0, target=False, dominant=False)
    figure = draw.figure(answers, tokens, {"scene": np.zeros((30, 30, 3), np.uint8)})
    figure.set_dpi(300)  # as it is saved: on a coarse grid letters are wider
    figure.draw_without_rendering()
    return figure
