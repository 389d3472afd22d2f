"""The figures of notebook 08 show the times that they are given."""

import pandas as pd
import pytest

from vzlib.experiments.efficiency.draw import SHADES, against_tokens, speed, stacked
from vzlib.plotting import TEXT, look

VARIANTS = [("vanilla", 2880, 400.0), ("visionzip", 640, 100.0), ("visionzip", 160, 40.0),
            ("fastv", 640, 110.0)]  # fmt: skip


def table():
    rows = [
        (model, method, budget, float(budget), times * scale, (times + 50) * scale,
         (times + 80) * scale, 400.0 / times)
        for model, scale in (("small", 1), ("large", 2))
        for method, budget, times in VARIANTS
        if scale == 1 or method != "fastv"
    ]  # fmt: skip
    columns = ["geometry", "method", "budget", "average", "prefill", "first token", "total",
               "flops_ratio"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def parts():
    rows = [
        ("small", method, budget, float(budget), stage, times, times - 2, times + 2)
        for method, budget, prefill in VARIANTS
        for stage, times in (("tower", 40.0), ("projector", 10.0), ("prefill", prefill),
                             ("decode", 30.0), ("select + merge", 5.0))
        if stage != "select + merge" or method == "visionzip"
    ]  # fmt: skip
    columns = ["geometry", "method", "budget", "average", "stage", "median", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def test_bars_are_as_long_as_the_times():
    figure = speed(table(), parts(), "small", "large")
    assert figure.get_figwidth() == TEXT
    left, right = figure.axes
    assert [bar.get_width() for bar in left.patches] == [400, 100, 40, 110]
    assert [tuple(line.get_xdata()) for line in left.lines] == [
        (398, 402), (98, 102), (38, 42), (108, 112),
    ]  # fmt: skip
    assert [bar.get_width() for bar in right.patches] == [480, 960, 360, 240]
    names = [text.get_text() for text in right.get_yticklabels()]
    assert names[0] == "small\nall tokens" and names[3] == "large\nVisionZip (code) 160"
    alone = speed(table(), parts(), "small", None).axes[1]
    assert [bar.get_width() for bar in alone.patches] == [480, 180, 120, 190]


def test_stages_stand_one_behind_the_other():
    figure = stacked(parts(), "small")
    (axes,) = figure.axes
    ends = {}
    for bar in axes.patches:
        row = round(bar.get_y() + bar.get_height() / 2)
        assert bar.get_x() == pytest.approx(ends.get(row, 0.0))
        ends[row] = bar.get_x() + bar.get_width()
    assert ends == {0: 480, 1: 185, 2: 125, 3: 190}
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(SHADES)


def test_the_line_of_the_flops_goes_through_all_tokens():
    figure = against_tokens(table(), "small")
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    limit = lines["as the FLOPs"]
    assert list(limit.get_xdata()) == [160, 640, 2880]
    assert list(limit.get_ydata()) == pytest.approx([40, 100, 400])
    zipped = lines[look("visionzip").label]
    assert list(zipped.get_ydata()) == [40, 100]
    assert "as the FLOPs" not in {line.get_label() for line in figure.axes[1].get_lines()}
