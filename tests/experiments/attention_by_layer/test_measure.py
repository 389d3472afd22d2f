"""Measures and maps against stock attention maps; stored once."""

import numpy as np
import pandas as pd
import torch

from vzlib import notebooks
from vzlib.experiments.attention_by_layer import measure, tell
from vzlib.tokens import effective_tokens, gini


def settings(folder, **changes):
    return notebooks.settings("02_attention_by_layer", model=folder, **{"count": 3, **changes})


def test_measures_are_those_of_the_stock_attention_maps(tiny_folder, own_store, eager_attention):
    folder = tiny_folder()
    rows = measure.measure(settings(folder, images=("scenes",)))
    maps = eager_attention(folder, "scenes", 3)
    expected = {"cls": maps[:, :, 0, 1:], "mean": maps.mean(2)[..., 1:]}
    for rule, weights in expected.items():
        for name, function in (("gini", gini), ("effective tokens", effective_tokens)):
            own = rows[(rows["rule"] == rule) & (rows["measure"] == name)]
            found = torch.tensor(own["value"].to_numpy().reshape(3, 4))
            assert torch.allclose(found, function(weights).double(), rtol=1e-4)
    assert rows.loc[rows["read"], "layer"].unique().tolist() == [3]


def test_maps_are_those_of_the_image_asked_for(tiny_folder, own_store, eager_attention):
    folder = tiny_folder()
    chosen = settings(folder, images=("scenes",), shown=2)
    rows = measure.maps(chosen)
    maps = eager_attention(folder, "scenes", 3)[2]
    own = rows[rows["rule"] == "cls"]["weight"].to_numpy().reshape(4, 36)
    assert np.allclose(own, maps[:, 0, 1:], atol=1e-6)
    ((name, (image, drawn)),) = tell.examples(rows, chosen).items()
    assert name == "scene 2" and image.shape == (192, 192, 3)
    assert list(drawn) == ["layer 1", "layer 2", "layer 3 (read)", "layer 4"]
    assert np.allclose(drawn["layer 3 (read)"].ravel(), own[2])


def test_a_tower_without_cls_has_the_column_mean_alone(tiny_folder, own_store):
    rows = measure.measure(settings(tiny_folder("siglip"), images=("scenes",)))
    assert set(rows["rule"]) == {"mean"}


def test_what_is_stored_needs_no_model(tiny_folder, own_store, never_loads):
    first = measure.measure(settings(tiny_folder()))
    never_loads()
    pd.testing.assert_frame_equal(first, measure.measure(settings(tiny_folder())))
