"""Statistics of attention known by hand; a model measured once."""

import numpy as np
import pandas as pd
import pytest
import torch

from vzlib.experiments.softmax_gradient import measure
from vzlib.notebooks import settings


def test_statistics_of_attention_known_by_hand():
    attention = torch.tensor([[0.9, 0.04, 0.06], [0.4, 0.4, 0.2]])
    found = {name: value for name, s, value in measure._statistics(attention, 0.05) if s is None}
    assert found["tokens_growing"] == pytest.approx(100 * 5 / 6)
    assert found["mass_growing"] == pytest.approx(100 * 1.1 / 2)
    assert found["mass_exponential"] == pytest.approx(100 * 0.04 / 2)
    assert found["softmaxes_past_peak"] == 50


def test_distributions_put_attention_where_it_is():
    attention = torch.tensor([[0.5, 0.25, 0.25, 0.0]])
    rows = [row for row in measure._statistics(attention, 0.05) if row[1] is not None]
    table = pd.DataFrame(rows, columns=["quantity", "s", "value"])
    totals = table.groupby("quantity")["value"].sum()
    assert totals.to_list() == pytest.approx([100, 100])
    tokens = table[(table["quantity"] == "tokens_at") & (table["value"] > 0)]
    assert tokens["value"].to_list() == [25, 50, 25]
    assert tokens["s"].iloc[0] < 1e-9
    np.testing.assert_allclose(tokens["s"].iloc[1:], [0.25, 0.5], rtol=0.3)


def test_measures_every_scene_of_a_model_once(scene_folder, own_store, never_loads):
    chosen = settings("03_softmax_gradient", model=scene_folder, images="scenes", count=2)
    rows = measure.measure(chosen)
    assert set(rows["queries"]) == {"all", "cls"}
    assert rows.loc[rows["read"], "layer"].unique().tolist() == [3]  # of 4: hidden_states[-2]
    assert len(rows) == 2 * 4 * 2 * (4 + 2 * 50)
    first, second = (
        rows[rows["name"] == name]["value"].to_numpy() for name in ("scene 0", "scene 1")
    )
    assert len(first) == len(second) and not np.array_equal(first, second)
    never_loads()
    again = measure.measure(chosen.model_copy(update={"lengths": (2, 3)}))
    pd.testing.assert_frame_equal(rows, again)
