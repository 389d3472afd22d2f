"""Redundancy: weights against stock attention maps; numbers and verdicts on made-up weights."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from vzlib.experiments import attention as tower
from vzlib.experiments.redundancy import measure as redundancy
from vzlib.experiments.redundancy.claims import verdicts
from vzlib.experiments.redundancy.settings import Redundancy
from vzlib.paths import REPOSITORY


def settings(folder="pico", **changes):
    return Redundancy(model=folder, **{"count": 3, "dominant": (2, 9), **changes})


def made_up(*images, kind="scenes", rule="cls", cls=0.0):
    """Rows as `measure` gives them, of images with these weights on their patches."""
    tables = [
        pd.DataFrame(
            {
                "images": kind,
                "name": f"image {number}",
                "unit": f"image {number}",
                "rule": rule,
                "patch": np.arange(-1, len(weights)),
                "weight": [cls, *weights],
            }
        )
        for number, weights in enumerate(images)
    ]
    return pd.concat(tables, ignore_index=True)


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
    table = redundancy.summary(rows, settings())
    assert (table["units"] == 3).all()


def test_what_is_stored_needs_no_model_and_no_torch(tiny_folder, own_store, monkeypatch):
    folder = tiny_folder()
    first = redundancy.measure(settings(folder))
    assert len(first) == 2 * 3 * 2 * 37
    monkeypatch.setattr(tower, "load", None)
    again = redundancy.measure(settings(folder))
    pd.testing.assert_frame_equal(first, again)
    code = (
        "import sys\n"
        "from vzlib.experiments import redundancy\n"
        "from vzlib.experiments.settings import Redundancy\n"
        f"rows = redundancy.measure(Redundancy(model={folder!r}, count=3, dominant=(2, 9)))\n"
        f"sys.exit(9 if 'torch' in sys.modules or len(rows) != {len(first)} else 3)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 3


def test_the_numbers_of_made_up_weights():
    rows = made_up(np.ones(100) / 200, [0.4, 0.1, *np.zeros(98)], cls=0.5)
    table = redundancy.summary(rows, settings()).set_index("quantity")
    assert (table["n"] == 2).all() and (table["units"] == 2).all()
    held = table.loc["attention held by the 2 dominant tokens, %"]
    assert held[["value", "low", "high", "even"]].tolist() == pytest.approx([51, 2, 100, 2])
    assert table.loc["attention on the CLS token itself, %", "value"] == pytest.approx(50)
    for near in ("the largest weight", "an even share"):
        assert table.loc[f"tokens below 0.1 of {near}, %", "value"] == pytest.approx(49)
    enough = table.loc["tokens that hold 90% of the attention"]
    assert enough[["value", "even"]].tolist() == pytest.approx([(90 + 2) / 2, 90])


def test_the_curve_rises_to_all_of_the_attention():
    curve = redundancy.cumulative(made_up([0.5, 0.3, 0.2], [0.2, 0.7, 0.1]))
    assert curve["value"].tolist() == pytest.approx([60, 85, 100])
    assert curve["low"].tolist() == pytest.approx([50, 80, 100])
    assert curve["tokens"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("weights", "near_zero", "almost_all"),
    [
        ([0.5, 0.45, *np.full(98, 5e-4)], "found", "found"),
        (np.full(100, 0.01), "not found", "not found"),
        ([0.3, 0.3, *np.full(98, 0.4 / 98)], "found", "not found"),
    ],
    ids=["concentrated", "even", "between"],
)
def test_verdicts(weights, near_zero, almost_all):
    chosen = settings()
    rows = made_up(weights, weights)
    found = verdicts(redundancy.summary(rows, chosen), chosen)
    by_claim = found.set_index(["claim", "quantity"])["verdict"]
    assert by_claim["C01"].tolist() == [near_zero]
    assert by_claim["C02", "attention held by the 2 dominant tokens, %"] == almost_all


def test_more_dominant_tokens_than_patches_are_refused_before_any_image(
    tiny_folder, own_store, monkeypatch
):
    few, many = settings(tiny_folder()), settings(tiny_folder(), dominant=(2, 37))
    refused = pytest.raises(ValueError, match=r"dominant=\[2, 37\]: allowed are 1 to 36")
    with monkeypatch.context() as patch, refused:
        patch.setattr(tower, "_pixels", None)
        redundancy.measure(many)
    redundancy.measure(few)
    with pytest.raises(ValueError, match=r"allowed are 1 to 36"):  # of stored weights too
        redundancy.measure(many)


def test_examples_are_the_first_images_with_their_maps(tiny_folder, own_store):
    chosen = settings(tiny_folder(), images=("scenes",))
    rows = redundancy.measure(chosen)
    images, maps, notes = redundancy.examples(rows, chosen, each=2)
    assert list(images) == ["scene 0", "scene 1"]
    assert {rule: len(each) for rule, each in maps.items()} == {"cls": 2, "mean": 2}
    second = rows[(rows["name"] == "scene 1") & (rows["rule"] == "mean") & (rows["patch"] >= 0)]
    weights = second["weight"].to_numpy(dtype=float)
    assert np.allclose(maps["mean"][1], (weights / weights.sum()).reshape(6, 6))
    assert notes["mean"][1] == f"2 hold {np.sort(weights)[-2:].sum() / weights.sum():.0%}"
