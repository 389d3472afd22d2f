"""The budget figure: a panel per task, a line per method, intervals where they help."""

import pandas as pd
from matplotlib.collections import PolyCollection

from vzlib.experiments.token_budget.draw import token_budget
from vzlib.plotting import TEXT

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
    figure = token_budget(curves(), "tokens per layer")
    assert figure.get_figwidth() == TEXT
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["mean over tasks", *TASKS[:-1]]
    level, *lines = figure.axes[0].get_lines()
    assert set(level.get_ydata()) == {40 + 576 / 12}
    drawn = {tuple(line.get_xdata()): tuple(line.get_ydata()) for line in lines}
    assert drawn[(65.5, 193.5)] == (40 + 65.5 / 12, 40 + 193.5 / 12)
    assert drawn[(64, 192)] == (40 + 64 / 12, 56)
    assert sum(isinstance(part, PolyCollection) for part in figure.axes[0].collections) == 2
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {
        "all tokens", "random", "VisionZip (code)", "FastV",
    }  # fmt: skip
