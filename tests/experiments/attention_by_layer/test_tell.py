"""What is told of made-up profiles, worked out by hand."""

import numpy as np

from tests.experiments.attention_by_layer.made_up import PAPER, rows_of
from vzlib.experiments.attention_by_layer import tell


def test_the_profile_is_the_mean_of_each_layer_with_its_interval():
    rows = rows_of(np.array(PAPER), images=50, noise=0.1)
    table = tell.profile(rows)
    means = rows.groupby("layer")["value"].mean()
    assert np.allclose(table["value"], means)
    assert (table["low"] < table["value"]).all() and (table["value"] < table["high"]).all()
    half = 1.96 * rows.groupby("layer")["value"].std().to_numpy() / 50**0.5
    assert np.allclose(table["high"] - table["value"], half, rtol=0.25)
    assert table.loc[table["read"], "layer"].tolist() == [7]
