"""Attention by layer: measures against stock attention maps; verdicts on made-up profiles."""

import numpy as np
import pandas as pd
import pytest
import torch

from vzlib.experiments import attention as tower
from vzlib.experiments.attention_by_layer import claims as claims_of
from vzlib.experiments.attention_by_layer import measure as attention_by_layer
from vzlib.experiments.attention_by_layer.settings import AttentionByLayer
from vzlib.tokens import effective_tokens, gini

PAPER = [0.2, 0.22, 0.24, 0.3, 0.75, 0.8, 0.9, 0.6]
GRADUAL = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9, 0.6]
PEAK_BEFORE = [0.2, 0.22, 0.24, 0.3, 0.75, 0.95, 0.9, 0.6]
LAST_HIGHEST = [0.2, 0.22, 0.24, 0.3, 0.75, 0.8, 0.9, 0.95]


def settings(folder, **changes):
    return AttentionByLayer(model=folder, **{"count": 3, **changes})


def made_up(profile, measure="gini", images=20, noise=0.01):
    """Rows as `measure` gives them, of images whose values scatter around a profile."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        [
            ("scenes", f"image {i}", f"image {i}", "cls", layer, layer == 7, measure, value)
            for i in range(images)
            for layer, value in enumerate(profile + random.normal(0, noise, len(profile)), 1)
        ],
        columns=["images", "name", "unit", "rule", "layer", "read", "measure", "value"],
    )


def outcome(profile, **changes):
    table = claims_of.verdicts(made_up(np.array(profile), **changes))
    return table.set_index("claim")["verdict"].to_dict()


def test_measures_are_those_of_the_stock_attention_maps(tiny_folder, own_store, eager_attention):
    folder = tiny_folder()
    rows = attention_by_layer.measure(settings(folder, images=("scenes",)))
    maps = eager_attention(folder, "scenes", 3)
    expected = {"cls": maps[:, :, 0, 1:], "mean": maps.mean(2)[..., 1:]}
    for rule, weights in expected.items():
        for measure, function in (("gini", gini), ("effective tokens", effective_tokens)):
            own = rows[(rows["rule"] == rule) & (rows["measure"] == measure)]
            found = torch.tensor(own["value"].to_numpy().reshape(3, 4))
            assert torch.allclose(found, function(weights).double(), rtol=1e-4)
    assert rows.loc[rows["read"], "layer"].unique().tolist() == [3]


def test_maps_are_those_of_the_image_asked_for(tiny_folder, own_store, eager_attention):
    folder = tiny_folder()
    chosen = settings(folder, images=("scenes",), shown=2)
    rows = attention_by_layer.maps(chosen)
    maps = eager_attention(folder, "scenes", 3)[2]
    own = rows[rows["rule"] == "cls"]["weight"].to_numpy().reshape(4, 36)
    assert np.allclose(own, maps[:, 0, 1:], atol=1e-6)
    ((name, (image, drawn)),) = attention_by_layer.examples(rows, chosen).items()
    assert name == "scene 2" and image.shape == (192, 192, 3)
    assert list(drawn) == ["layer 1", "layer 2", "layer 3 (read)", "layer 4"]
    assert np.allclose(drawn["layer 3 (read)"].ravel(), own[2])


def test_a_tower_without_cls_has_the_column_mean_alone(tiny_folder, own_store):
    rows = attention_by_layer.measure(settings(tiny_folder("siglip"), images=("scenes",)))
    assert set(rows["rule"]) == {"mean"}


def test_what_is_stored_needs_no_model(tiny_folder, own_store, monkeypatch):
    first = attention_by_layer.measure(settings(tiny_folder()))
    monkeypatch.setattr(tower, "load", None)
    pd.testing.assert_frame_equal(first, attention_by_layer.measure(settings(tiny_folder())))


def test_the_profile_is_the_mean_of_each_layer_with_its_interval():
    rows = made_up(np.array(PAPER), images=50, noise=0.1)
    table = attention_by_layer.profile(rows)
    means = rows.groupby("layer")["value"].mean()
    assert np.allclose(table["value"], means)
    assert (table["low"] < table["value"]).all() and (table["value"] < table["high"]).all()
    half = 1.96 * rows.groupby("layer")["value"].std().to_numpy() / 50**0.5
    assert np.allclose(table["high"] - table["value"], half, rtol=0.25)
    assert table.loc[table["read"], "layer"].tolist() == [7]


@pytest.mark.parametrize(
    ("profile", "claims"),
    [
        (PAPER, ("found", "found", "found")),
        (GRADUAL, ("not found", "found", "found")),
        (PEAK_BEFORE, ("found", "not found", "found")),
        (LAST_HIGHEST, ("found", "not found", "opposite")),
        (np.full(8, 0.4), ("not found", "not found", "not found")),
        (PAPER[::-1], ("opposite", "not found", "found")),
    ],
    ids=["paper", "gradual", "peak before", "last highest", "flat", "reversed"],
)
def test_verdicts_on_profiles(profile, claims):
    assert tuple(outcome(profile).values()) == claims


def test_measures_that_fall_with_concentration_give_the_same_verdicts():
    falling = outcome(1 - np.array(PEAK_BEFORE), measure="normalised entropy")
    assert falling == outcome(PEAK_BEFORE)


def test_without_a_layer_behind_the_one_that_is_read_nothing_can_be_said_of_it():
    rows = made_up(np.array(PAPER))
    rows["read"] = rows["layer"] == 8
    found = claims_of.verdicts(rows).set_index("claim")
    assert found.loc["C05", "verdict"] == "not measurable here"
    assert np.isnan(found.loc["C05", "value"])


def test_the_conclusion_says_what_was_found():
    table = claims_of.verdicts(made_up(np.array(PAPER)))
    assert claims_of.conclusion(table).startswith("On scenes the paper's profile is found:")
    table = claims_of.verdicts(made_up(np.array(PEAK_BEFORE)))
    text = claims_of.conclusion(table)
    assert "profile is found in part" in text and "layer that is read not found" in text
