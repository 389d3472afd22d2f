import numpy as np
import pandas as pd
import pytest
import torch

from vzlib.experiments.softmax_gradient import measure as softmax_gradient
from vzlib.experiments.softmax_gradient.settings import SoftmaxGradient


def test_theory_is_the_formula():
    rows = softmax_gradient.theory(SoftmaxGradient(lengths=(2, 50)))
    s = np.exp(rows["z"]) / (np.exp(rows["z"]) + rows["length"] - 1)
    others = (1 - s) / (rows["length"] - 1)
    np.testing.assert_allclose(rows["s"], s)
    np.testing.assert_allclose(rows["gradient"], s * (1 - s))
    np.testing.assert_allclose(rows["off_diagonal"], s * others)
    norm = np.sqrt((s * (1 - s)) ** 2 + (rows["length"] - 1) * (s * others) ** 2)
    np.testing.assert_allclose(rows["row_norm"], norm)
    inner = rows.groupby("length").apply(lambda own: own.iloc[1:-1])
    np.testing.assert_allclose(inner["growth"], 1 - 2 * inner["s"], atol=0.01)


def test_statistics_of_attention_known_by_hand():
    attention = torch.tensor([[0.9, 0.04, 0.06], [0.4, 0.4, 0.2]])
    found = {
        name: value for name, s, value in softmax_gradient._statistics(attention, 0.05) if s is None
    }
    assert found["tokens_growing"] == pytest.approx(100 * 5 / 6)
    assert found["mass_growing"] == pytest.approx(100 * 1.1 / 2)
    assert found["mass_exponential"] == pytest.approx(100 * 0.04 / 2)
    assert found["softmaxes_past_peak"] == 50


def test_distributions_put_attention_where_it_is():
    attention = torch.tensor([[0.5, 0.25, 0.25, 0.0]])
    rows = [row for row in softmax_gradient._statistics(attention, 0.05) if row[1] is not None]
    table = pd.DataFrame(rows, columns=["quantity", "s", "value"])
    totals = table.groupby("quantity")["value"].sum()
    assert totals.to_list() == pytest.approx([100, 100])
    tokens = table[(table["quantity"] == "tokens_at") & (table["value"] > 0)]
    assert tokens["value"].to_list() == [25, 50, 25]
    assert tokens["s"].iloc[0] < 1e-9
    np.testing.assert_allclose(tokens["s"].iloc[1:], [0.25, 0.5], rtol=0.3)


def test_measures_a_model_once(scene_folder, own_store, never_loads):
    settings = SoftmaxGradient(model=scene_folder, scenes=2)
    rows = softmax_gradient.measure(settings)
    assert softmax_gradient.read_block(rows) == 3  # of 4: hidden_states[-2]
    assert set(rows["queries"]) == {"all", "cls"}
    assert set(rows["n"]) == {2}
    assert (rows["low"] <= rows["value"] + 1e-9).all()
    assert (rows["value"] <= rows["high"] + 1e-9).all()
    assert "In block 3" in softmax_gradient.verdict(rows)
    never_loads()
    again = softmax_gradient.measure(settings.model_copy(update={"lengths": (2, 3)}))
    pd.testing.assert_frame_equal(rows, again)
