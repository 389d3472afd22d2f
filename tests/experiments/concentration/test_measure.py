"""What is measured of a tiny model, against what other code tells of it."""

import numpy as np
import pandas as pd
import pytest
import torch

from vzlib.evaluation.accuracy import answers
from vzlib.experiments.concentration import (
    measure,
    measure_answers,
    measure_encoders,
    names,
    tell_encoders,
)
from vzlib.models import load
from vzlib.models.families import FAMILIES as HOSTS
from vzlib.models.families import REFUSED
from vzlib.models.tower_parts import FAMILIES
from vzlib.models.towers import encode, received_by_layer
from vzlib.notebooks import settings
from vzlib.scenes import make
from vzlib.tokens import BudgetError
from vzlib.tokens.concentration import gini


def chosen(folder, **changes):
    small = {"model": folder, "images": "scenes", "count": 3, "each": 3, "retain": 8}
    small |= {"neurons": 5, "ablated": 48}
    return settings("17_concentration", **small | changes)


def test_quantities_of_attention_known_by_hand():
    received = torch.tensor([0.2, 0.4, 0.1, 0.1, 0.1])  # CLS, four patches; 0.1 is elsewhere
    told = dict(zip(measure.QUANTITIES, measure._quantities(received, 1, torch.tensor([0, 3])),
                    strict=True))  # fmt: skip
    assert told["cls"] == pytest.approx(20) and told["elsewhere"] == pytest.approx(10)
    assert told["top"] == pytest.approx(400 / 7) and told["watched"] == pytest.approx(500 / 7)
    assert told["same"] == 50  # patch 0 and, among equals, patch 1
    assert told["gini"] == pytest.approx(float(gini(received[1:])))


def test_every_condition_is_measured_on_every_image_once(scene_folder, own_store, never_loads):
    one = chosen(scene_folder)
    rows = measure.measure(one)
    expected = {names.STOCK, names.UNTRAINED, names.ADDED, names.SHIFTED, names.CONTROL,
                *names.ABLATIONS, "logits x 0.5", "logits x 2"}  # fmt: skip
    assert set(rows["condition"]) == expected
    assert (rows.groupby(["condition", "rule"]).size() == 3).all()
    stock = rows[rows["condition"] == names.STOCK].set_index(["rule", "name"])
    assert (stock.loc["cls", "same"] == 100).all() and (stock["elsewhere"].abs() < 1e-3).all()
    with_registers = rows["condition"].isin([names.ADDED, names.SHIFTED, names.CONTROL])
    assert (rows.loc[with_registers, "elsewhere"] > 0).all()
    assert (rows.loc[~with_registers, "elsewhere"].abs() < 1e-3).all()
    never_loads()
    pd.testing.assert_frame_equal(measure.measure(one), rows)


def test_the_stock_tower_is_measured_as_it_is(scene_folder, own_store):
    rows = measure.measure(chosen(scene_folder))
    model = load.loaded(scene_folder)
    image = model.pixels([make(1).image])
    with torch.no_grad():
        scores = encode(model.tower, image).scores[0]
        fresh = received_by_layer(model.tower, image, cls=False)[0, -2]
    own = rows[(rows["name"] == "scene 1") & (rows["condition"] == names.STOCK)].set_index("rule")
    assert own.loc["cls", "gini"] == pytest.approx(float(gini(scores[1:])), abs=1e-5)
    assert own.loc["cls", "cls"] == pytest.approx(100 * float(scores[0]), abs=1e-3)
    assert own.loc["mean", "gini"] == pytest.approx(float(gini(fresh[1:])), abs=1e-5)


def test_a_tower_without_cls_has_no_registers(tiny_folder, own_store):
    # Scenes have 24 x 24 patches, photographs any number.
    rows = measure.measure(chosen(tiny_folder("siglip"), images="photographs"))
    assert not {names.ADDED, names.SHIFTED} & set(rows["condition"])
    assert set(rows["rule"]) == {"mean"} and (rows["cls"] == 0).all()


def test_answers_are_those_of_the_methods_and_the_column_mean_chooses_by_all_queries(
    scene_folder, own_store, never_loads
):
    one = chosen(scene_folder)
    rows = measure_answers.measure(one)
    sizes = rows.groupby(["condition", "method"]).size()
    assert (sizes == 15).all() and len(sizes) == 2 * 6 + 2  # six conditions
    model = load.loaded(scene_folder)
    points = [("vanilla", 576), ("visionzip", 8), ("random", 8)]
    expected = answers(model, points, each=3, progress=False)
    for method, _ in points:
        own = rows[(rows["condition"] == names.STOCK) & (rows["method"] == method)]
        wanted = expected[expected["method"] == method]
        assert own["score"].tolist() == wanted["score"].tolist()
    by_mean = measure_answers.ByColumnMean(layer=3)
    assert by_mean.budget(8, True).patches == 7 and not by_mean.budget(8, True).cls
    never_loads()
    pd.testing.assert_frame_equal(measure_answers.measure(one), rows)


def test_the_column_mean_keeps_the_patches_that_all_attend_to(scene_folder):
    from vzlib.methods.before import Further

    model = load.loaded(scene_folder)
    image = model.pixels([make(0).image])
    with torch.no_grad():
        encoded = encode(model.tower, image)
        received = received_by_layer(model.tower, image, cls=False)
    made = measure_answers.ByColumnMean(layer=3).reduce(
        encoded, 8, has_cls=True, further=Further(received_from_all=received)
    )
    best = received[0, 2, 1:].argsort(descending=True, stable=True)[:7] + 1
    assert sorted(best.tolist()) == made.places[0, :7].tolist() and 0 not in made.places


def test_what_does_not_fit_is_said_before_a_model_is_loaded(tiny_folder, own_store, never_loads):
    folder = tiny_folder()
    never_loads()
    with pytest.raises(BudgetError, match="retain=36 must be below 36"):
        measure_answers.measure(chosen(folder, retain=36))
    with pytest.raises(ValueError, match="ablated=576 must be below 576"):
        measure.measure(chosen(folder, ablated=576))
    with pytest.raises(ValueError, match="not 1, which is the stock model"):
        chosen(folder, temperatures=[1.0, 2.0])


def test_every_kind_of_encoder_is_tried_or_named(own_store):
    rows = measure_encoders.measure(settings("17_concentration"))
    assert set(rows["tower"]) == set(FAMILIES)
    assert (rows["patches"] == 144).all() and (rows["tokens"] == 64).all()
    assert rows["gini"].between(0.001, 0.9).all()
    assert rows["cls"].tolist() == [FAMILIES[tower].cls for tower in rows["tower"]]
    table = tell_encoders.encoders(rows).set_index("tower")
    models = {one for told in table["models"] for one in told.split(", ") if one}
    assert models == set(HOSTS)
    assert table.loc["SiglipVisionModel", "rated"] == "column mean"
    assert table.loc["CLIPVisionModel", "made"] == "64 of 144"
    assert table.loc["Dinov2Model", "command"].endswith("reproduce 17 -p model dino")
    assert "OpenGVLab/InternVL3-8B-hf --retain 64" in table.loc["InternVLVisionModel", "command"]
    for model, why in REFUSED.items():
        assert table.loc[model, "made"] == f"refused: {why}"
    assert np.isnan(table.loc["Qwen3VLVisionModel", "gini"])
