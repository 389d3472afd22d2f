"""The figure and the tables of notebook 17 show what they are given."""

import numpy as np
import pandas as pd
import pytest

from tests.drawn import check_print, whiskers, words
from tests.experiments.concentration.made_up import LEVELS, answers, attention
from vzlib.experiments.concentration import draw, tell, tell_encoders
from vzlib.experiments.concentration.names import STOCK, UNTRAINED
from vzlib.notebooks import settings
from vzlib.plotting.style import TEXT


@pytest.fixture(scope="module")
def given():
    changes = {"logits x 2": 0.2, UNTRAINED: -0.3}
    return tell.attention(attention(changes)), tell.answered(answers(LEVELS))


def test_bars_end_where_the_tables_say_in_the_row_of_their_condition(given):
    table, answered = given
    figure = draw.figure(table, answered)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["as it is", "logits x 2", "untrained weights"]
    for axes, quantity in zip(figure.axes, ("gini", "watched"), strict=False):
        own = table[table["quantity"] == quantity].sort_values("rule", kind="stable")
        ends = np.array(whiskers(axes))
        assert ends[:, :, 0] == pytest.approx(own[["low", "high"]].to_numpy())
        rows = ends[:, 0, 1].round().astype(int)
        assert [labels[row] for row in rows] == labels * 2
    shown = answered[answered["method"].isin(["vanilla", "visionzip"])]
    ends = np.array(whiskers(figure.axes[2]))[:, :, 0]
    own = shown.sort_values("method", kind="stable")[["low", "high"]].to_numpy()
    assert ends == pytest.approx(own)
    assert {"CLS row", "column mean", "accuracy, %"} <= words(figure)
    check_print(figure, TEXT)


def test_tables_have_a_row_for_everything(given, monkeypatch, tmp_path):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    table, _ = given
    chosen = settings("17_concentration")
    cells = draw.table(table, chosen).cells
    assert len(cells) == len(table)
    stock = cells["condition"] == draw.NAMES[STOCK]
    assert (cells.loc[stock, "change"] == "").all() and (cells.loc[~stock, "change"] != "").all()
    rows = tell_encoders.encoders(
        pd.DataFrame(
            [("CLIPVisionModel", True, 144, 64, 0.1)],
            columns=["tower", "cls", "patches", "tokens", "gini"],
        )
    )
    cells = draw.encoders_table(rows, chosen).cells.set_index("encoder")
    assert cells.loc["CLIPVisionModel", "VisionZip on tiny random weights"] == "64 of 144"
    assert cells.loc["Qwen3VLVisionModel", "their Gini"] == ""
    assert cells.loc["Gemma3ForConditionalGeneration", "CLS"] == ""
