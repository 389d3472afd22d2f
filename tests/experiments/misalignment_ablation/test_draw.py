"""Figure 05 shows what the rows say, for made-up rows."""

import numpy as np
import pandas as pd

from vzlib import paper
from vzlib.experiments.misalignment_ablation.draw import ROWS, figure

SELECTORS = ("sparsevlm", "fastv")
ALONE = ("visionzip", "random")


def tables():
    ways = [(s, c) for c in list(ROWS)[:6] for s in SELECTORS] + [("nothing", c) for c in ALONE]
    effects = pd.DataFrame(
        [
            (s, c, "baseline", task, 1.0, 0.0, 2.0, -20.0 - n, -25.0 - n, -15.0 - n)
            for n, (s, c) in enumerate(ways)
            if c != "baseline" and s != "nothing"
            for task in ("reading", "mean")
        ],
        columns=[
            "selector", "one", "other", "task", "value", "low", "high",
            "percent", "percent_low", "percent_high",
        ],
    )  # fmt: skip
    overlap = pd.DataFrame(
        [(s, c, 22.0, 11.0, 2.0, 1.5, 2.5, 9) for s, c in ways],
        columns=["selector", "condition", "share", "chance", "value", "low", "high", "n"],
    )
    coverage = pd.DataFrame(
        [(s, c, "mean", 70.0 + n, 60.0 + n, 75.0 + n, 9) for n, (s, c) in enumerate(ways)],
        columns=["selector", "condition", "task", "value", "low", "high", "n"],
    )
    return effects, overlap, coverage


def markers(axis):
    """Points drawn, by label."""
    return {
        part.get_label(): part.lines[0].get_xydata() for part in axis.containers if part.lines[0]
    }


def test_effects_are_in_percent_and_beside_the_papers():
    shown = figure(*tables(), paper.table(5))
    first, second, third = shown.axes
    drawn = markers(first)
    np.testing.assert_allclose(drawn["SparseVLM"][:, 0], [-22, -24, -26, -28, -30])
    np.testing.assert_allclose(drawn["SparseVLM"][:, 1].round(), [1, 2, 3, 4, 5])
    assert [0, 0] in [list(line.get_xdata()) for line in first.lines], "nothing gained or lost"
    (stars,) = [line for line in first.lines if str(line.get_label()).startswith("the paper")]
    np.testing.assert_allclose(stars.get_xdata(), [-9.2, 2.7])
    np.testing.assert_allclose(np.round(stars.get_ydata()), [1, 3])
    assert (markers(second)["FastV"][:, 0] == 22).all()
    assert markers(third)["no selector"][:, 0].tolist() == [82, 83]
    assert [label.get_text() for label in first.get_yticklabels()] == list(ROWS.values())


def test_without_known_things_there_are_two_panels():
    effects, overlap, coverage = tables()
    shown = figure(effects, overlap, coverage[:0], paper.table(5))
    assert len(shown.axes) == 2
