"""The figure of notebook 07 shows what the tables say, for made-up tables."""

import numpy as np
import pandas as pd
import pytest

from vzlib.experiments.dominant_contextual.draw import CHOICES, figure


def curve(totals):
    rows = [("all tokens", 576, "code", 0, 90.0)]
    rows += [
        ("split", total, merge, round(share * total), 50 + total / 16 - 20 * share)
        for total in totals
        for merge in ("code", "paper")
        for share in (0, 0.25, 0.5)
    ]
    table = pd.DataFrame(rows, columns=["factor", "total", "merge", "contextual", "value"])
    table = table.assign(share=table["contextual"] / table["total"], task="mean")
    spoilt = table.assign(task="reading", value=-1000.0)  # the tasks are not drawn
    return pd.concat([table, spoilt]).assign(
        low=lambda rows: rows["value"] - 2, high=lambda rows: rows["value"] + 3
    )


def differences(totals, choices, layers=(1, 2, 4)):
    found = [
        (total, factor, choice, 3, -float(place), total)
        for total in (0, *totals)
        for place, (factor, choice) in enumerate(choices)
    ]
    found += [
        (total, "layer", f"layer {n}", n, -10.0 * n, 0) for total in (0, *totals) for n in layers
    ]
    found += [(total, "split", "none", 3, 77.0, 0) for total in (0, *totals)]
    columns = ["total", "factor", "choice", "layer", "value", "n"]
    return pd.DataFrame(found, columns=columns).assign(
        low=lambda rows: rows["value"] - 1, high=lambda rows: rows["value"] + 2
    )


def drawn(axes):
    """Positions and bars [x, y, low, high] of every errorbar of some axes."""
    for container in axes.containers:
        line, _, (bars,) = container
        for (x, y), ends in zip(line.get_xydata(), bars.get_segments(), strict=True):
            yield x, y, ends


@pytest.mark.parametrize("totals", [(64,), (64, 128, 192)])
def test_points_lines_and_intervals_are_those_of_the_tables(totals):
    shown = figure(curve(totals), differences(totals, CHOICES), 10 / 64)
    split, layers, forest = shown.axes
    assert len(split.containers) == 2 * len(totals)
    values = [y for _, y, _ in drawn(split)]
    assert min(values) == 50 + totals[0] / 16 - 10 and len(values) == 6 * len(totals)
    assert all(np.allclose(ends[:, 1], (y - 2, y + 3)) for _, y, ends in drawn(split))
    grey, dotted = split.lines[:2]
    assert grey.get_xdata()[0] == 100 * 10 / 64 and dotted.get_ydata()[0] == 90

    assert [label.get_text() for label in forest.get_yticklabels()] == list(CHOICES.values())
    for x, y, ends in drawn(forest):
        assert x == -round(y)  # beside its own name
        assert np.allclose(ends[:, 0], (x - 1, x + 2))
    assert len(list(drawn(forest))) == len(CHOICES) * (len(totals) + 1)

    assert {(round(x), y) for x, y, _ in drawn(layers)} == {(1, -10), (2, -20), (4, -40)}
    assert 3 in [line.get_xdata()[0] for line in layers.lines]  # the layer that is read


def test_a_tower_without_cls_has_no_row_for_it():
    choices = [choice for choice in CHOICES if choice[0] != "CLS"]
    shown = figure(curve((64,)), differences((64,), choices), 10 / 64)
    labels = [label.get_text() for label in shown.axes[2].get_yticklabels()]
    assert labels == [CHOICES[choice] for choice in choices]


def test_the_legend_names_totals_and_rules():
    shown = figure(curve((64, 96)), differences((64, 96), CHOICES), 10 / 64)
    (legend,) = shown.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == [
        "64 tokens", "96 tokens", "mean of the totals", "code rule (a)", "paper rule (a)",
        "all tokens (a)",
    ]  # fmt: skip
