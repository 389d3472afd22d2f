"""The curve against its formula, and means with intervals over scenes."""

import numpy as np
import pandas as pd
import pytest

from vzlib.experiments.softmax_gradient import tell
from vzlib.notebooks import settings


def test_theory_is_the_formula():
    rows = tell.theory(settings("03_softmax_gradient", lengths=(2, 50)))
    s = np.exp(rows["z"]) / (np.exp(rows["z"]) + rows["length"] - 1)
    others = (1 - s) / (rows["length"] - 1)
    np.testing.assert_allclose(rows["s"], s)
    np.testing.assert_allclose(rows["gradient"], s * (1 - s))
    np.testing.assert_allclose(rows["off_diagonal"], s * others)
    norm = np.sqrt((s * (1 - s)) ** 2 + (rows["length"] - 1) * (s * others) ** 2)
    np.testing.assert_allclose(rows["row_norm"], norm)
    inner = rows.groupby("length").apply(lambda own: own.iloc[1:-1])
    np.testing.assert_allclose(inner["growth"], 1 - 2 * inner["s"], atol=0.01)


def rows_of(*values, queries="cls", quantity="mass_exponential", layer=3):
    """Rows of `measure`: one quantity of as many scenes; block 3 is read."""
    return pd.DataFrame(
        {
            "name": range(len(values)), "unit": [*map(str, range(len(values)))],
            "queries": queries, "layer": layer, "read": layer == 3,
            "quantity": quantity, "s": np.nan, "value": values,
        }
    )  # fmt: skip


def test_the_summary_is_the_mean_over_scenes_with_its_interval():
    rows = pd.concat([rows_of(10.0, 20.0, 30.0), rows_of(5.0, 5.0, 5.0, layer=2)])
    first, second = tell.summary(rows).to_dict("records")
    half = 4.302653 * 10 / 3**0.5  # Student's t for three scenes, times the standard error
    assert [first[name] for name in ("value", "low", "high")] == pytest.approx(
        [20, 20 - half, 20 + half]
    )
    assert (first["layer"], first["read"], first["n"]) == (3, True, 3)
    assert [second[name] for name in ("value", "low", "high", "read")] == [5, 5, 5, False]


def test_bins_of_a_distribution_are_kept_apart():
    bins = [rows_of(1.0, 3.0, quantity="mass_at").assign(s=s) for s in (0.1, 0.2)]
    assert tell.summary(pd.concat(bins))["s"].tolist() == [0.1, 0.2]


def test_the_conclusion_says_the_numbers_of_the_block_that_is_read():
    quantities = {
        "tokens_growing": 99.0, "mass_growing": 70.0, "mass_exponential": 20.0,
        "softmaxes_past_peak": 40.0,
    }  # fmt: skip
    rows = [rows_of(value, value, quantity=name) for name, value in quantities.items()]
    others = [each.assign(queries="all", value=1.0) for each in rows]
    other_block = [each.assign(layer=2, read=False, value=2.0) for each in rows]
    text = tell.conclusion(tell.summary(pd.concat([*others, *other_block, *rows])))
    assert "In block 3, 99.0 % [99.0, 99.0] of the tokens and 70.0 % [70.0, 70.0]" in text
    assert "20.0 % [20.0, 20.0] of the CLS attention where growth" in text
    assert "40.0 % [40.0, 40.0] of the softmaxes have a token past the peak" in text
