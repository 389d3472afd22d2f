"""Weights against stock attention maps, stored and refused."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from vzlib import notebooks
from vzlib.experiments import attention
from vzlib.experiments.redundancy import measure as redundancy
from vzlib.paths import REPOSITORY


def settings(folder="pico", **changes):
    return notebooks.settings(
        "01_redundancy", model=folder, **{"count": 3, "dominant": (2, 9), **changes}
    )


@pytest.mark.parametrize("layer", [-2, 1])
def test_weights_are_those_of_the_stock_attention_maps(
    tiny_folder, own_store, eager_attention, layer
):
    folder = tiny_folder()
    rows = redundancy.measure(settings(folder, layer=layer, images=("photographs",)))
    block = {-2: 2, 1: 0}[layer]
    maps = eager_attention(folder, "photographs", 3)[:, block].numpy()
    expected = {"cls": maps[:, 0], "mean": maps.mean(1)}
    assert set(rows["rule"]) == set(expected)
    for rule, group in rows.groupby("rule"):
        assert group["patch"].tolist() == [*range(-1, 36)] * 3
        assert np.allclose(group["weight"].to_numpy().reshape(3, 37), expected[rule], atol=1e-6)


def test_a_tower_without_cls_has_the_column_mean_alone(tiny_folder, own_store, eager_attention):
    folder = tiny_folder("siglip")
    rows = redundancy.measure(settings(folder, images=("scenes",)))
    assert set(rows["rule"]) == {"mean"}
    assert rows["patch"].min() == 0
    received = eager_attention(folder, "scenes", 3)[:, 2].mean(1)
    assert np.allclose(rows["weight"].to_numpy().reshape(3, 36), received, atol=1e-6)


def test_what_is_stored_needs_no_model_and_no_torch(tiny_folder, own_store, never_loads):
    folder = tiny_folder()
    first = redundancy.measure(settings(folder))
    assert len(first) == 2 * 3 * 2 * 37
    never_loads()
    again = redundancy.measure(settings(folder))
    pd.testing.assert_frame_equal(first, again)
    code = (
        "import sys\n"
        "from vzlib.experiments.redundancy.measure import measure\n"
        "from vzlib.notebooks import settings\n"
        "chosen = {'count': 3, 'dominant': (2, 9)}\n"
        f"rows = measure(settings('01_redundancy', model={folder!r}, **chosen))\n"
        f"asked = {torch.version.cuda is not None}\n"  # a build for CUDA, whether there is a device
        "wrong = 'torch' in sys.modules and not asked\n"
        f"sys.exit(9 if wrong or len(rows) != {len(first)} else 3)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 3


def test_more_dominant_tokens_than_patches_are_refused_before_any_image(
    tiny_folder, own_store, monkeypatch
):
    few, many = settings(tiny_folder()), settings(tiny_folder(), dominant=(2, 37))
    refused = pytest.raises(ValueError, match=r"dominant=\[2, 37\]: allowed are 1 to 36")
    with monkeypatch.context() as patch, refused:
        patch.setattr(attention, "_pixels", None)
        redundancy.measure(many)
    redundancy.measure(few)
    with pytest.raises(ValueError, match=r"allowed are 1 to 36"):  # of stored weights too
        redundancy.measure(many)
