"""The budget figure: a panel per task, a line per method, intervals where they help."""

import pandas as pd

from tests.drawn import bands
from vzlib.experiments.token_budget.draw import figure
from vzlib.plotting import TEXT, look

TASKS = ("existence", "attribute", "counting", "reading", "relation", "mean")
POINTS = [("vanilla", 576, 576.0)] + [
    (name, budget, budget + offset)
    for name, offset in (("random", 0), ("visionzip", 0), ("fastv", 1.5))
    for budget in (192, 64)
]


def curves() -> pd.DataFrame:
    rows = [
        (name, budget, tokens, task, 100, 40 + tokens / 12, 36 + tokens / 12, 44 + tokens / 12)
        for task in TASKS
        for name, budget, tokens in POINTS
    ]
    columns = ["method", "budget", "tokens", "task", "n", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def test_lines_stand_where_tokens_are_spent_and_vanilla_is_a_level():
    shown = figure(curves(), "tokens per layer")
    assert shown.get_figwidth() == TEXT
    assert [axes.get_title(loc="left") for axes in shown.axes] == ["mean over tasks", *TASKS[:-1]]
    level, *lines = shown.axes[0].get_lines()
    assert set(level.get_ydata()) == {40 + 576 / 12}
    drawn = {tuple(line.get_xdata()): tuple(line.get_ydata()) for line in lines}
    assert drawn[(65.5, 193.5)] == (40 + 65.5 / 12, 40 + 193.5 / 12)
    assert drawn[(64, 192)] == (40 + 64 / 12, 56)
    (legend,) = shown.legends
    assert {text.get_text() for text in legend.get_texts()} == {
        "all tokens", "random", "VisionZip (code)", "FastV",
    }  # fmt: skip


def test_every_method_has_its_colour_and_the_bands_are_the_intervals():
    (axes, *_) = figure(curves(), "tokens per layer").axes
    _, *lines = axes.get_lines()
    for line in lines:
        if line.get_xdata()[0] == 65.5:
            assert line.get_color() == look("fastv").colour
    drawn = {line.get_color() for line in lines}
    assert drawn == {look(name).colour for name in ("random", "visionzip", "fastv")}
    found = {band.colour: band for band in bands(axes)}
    assert set(found) == {look(name).colour.lower() for name in ("visionzip", "random")}
    for band in found.values():
        assert band.x.tolist() == [64, 192]
        assert band.low.tolist() == [36 + 64 / 12, 36 + 192 / 12]
        assert band.high.tolist() == [44 + 64 / 12, 44 + 192 / 12]
