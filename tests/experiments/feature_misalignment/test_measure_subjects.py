"""Where attention lies against a subject: made-up maps by hand, a model measured once."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from vzlib.experiments.feature_misalignment import measure_subjects, tell_subjects
from vzlib.experiments.feature_misalignment.measure_subjects import Known, known_patches
from vzlib.notebooks import settings

SIDE = 6
LEFT = np.tile(np.arange(SIDE) < 3, SIDE)  # the subject is the left half
KNOWN, OTHER = Known(LEFT, ~LEFT), Known(~LEFT, LEFT)


def places(received):
    found = measure_subjects._places(received, KNOWN, [OTHER], (4, 99), torch.ones(36, 4))
    columns = ["quantity", "target", "tokens", "value", "area", "others", "matched"]
    return pd.DataFrame(list(found), columns=columns).set_index(["quantity", "target", "tokens"])


def test_what_is_neither_counts_neither_way():
    subject = np.zeros((12, 12), dtype=np.float32)
    subject[:, :5] = 1
    subject[:2, :2] = np.nan
    known = known_patches(subject, 6)
    assert not known.subject[0] and not known.background[0]
    assert known.subject[1] and known.background[2] and known.background[3]
    assert known.subject.sum() == 11 and known.background.sum() == 24


def test_most_attended_patches_are_counted_on_background_and_chance_beside_it():
    received = np.zeros(36)
    received[[0, 5, 4, 3]] = [4, 3, 2, 1]  # the upper edge: one of the subject, three beside it
    table = places(received)
    row = table.loc["place", "background", 4]
    assert row.tolist() == [75.0, 50.0, 25.0, 50.0]
    border = table.loc["place", "border", 4][["value", "area"]]
    assert border.tolist() == pytest.approx([100, 100 * 20 / 36])
    assert table.loc["place", "background", 1]["value"] == 0.0
    assert ("place", "background", 99) not in table.index  # there are not so many patches


def test_an_auc_is_the_share_of_pairs_in_which_the_background_wins():
    table = places(np.where(LEFT, 0.0, 1.0))
    assert table.loc["auc", "attention", 36][["value", "others"]].tolist() == [100.0, 0.0]
    assert table.loc["auc", "norm", 36]["value"] == 50.0  # all are equal


def test_neighbours_are_alike_where_they_point_the_same_way():
    states = torch.zeros(36, 2)
    states[torch.from_numpy(LEFT), 0], states[torch.from_numpy(~LEFT), 1] = 1.0, 1.0
    alike = measure_subjects._alike(states).reshape(6, 6)
    assert np.allclose(alike[0], [1, 1, 2 / 3, 2 / 3, 1, 1])
    assert np.allclose(alike[1], [1, 1, 3 / 4, 3 / 4, 1, 1])


class Mixing(nn.Module):
    """A block in which every patch takes half of what token 1, a patch, holds."""

    def forward(self, hidden, mask):
        return hidden + hidden[:, 1:2] / 2


def test_the_subject_changes_where_what_it_depends_on_is_replaced():
    before = torch.randn(1, 37, 8, generator=torch.Generator().manual_seed(0))
    block = Mixing()
    sets = [np.array([0]), np.array([35])]
    change = measure_subjects._change([block], before, block(before, None), KNOWN, True, sets)
    assert change[0] > 0.01 and change[1] == pytest.approx(0, abs=1e-6)


def test_as_many_others_are_replaced_on_subject_and_background():
    received = np.zeros(36)
    received[0] = 1.0  # on the subject
    seen = []

    def change(sets):
        seen.extend(sets)
        return [5.0, 1.0, 3.0]

    row = measure_subjects._replaced(change, received, KNOWN, np.random.default_rng(0))
    assert row[:2] == (1, 5.0) and row[4] == 2.0
    assert seen[0].tolist() == [0] and len(seen) == 3
    assert all(len(drawn) == 1 and KNOWN.subject[drawn].all() and drawn[0] for drawn in seen[1:])


def test_a_model_is_measured_once(tiny_folder, own_store, never_loads):
    chosen = settings("04_feature_misalignment", model=tiny_folder(), count=3, retained=(9, 12))
    rows = measure_subjects.measure(chosen)
    assert list(rows.columns) == measure_subjects.COLUMNS
    assert {"camera", "flower"} <= set(rows["name"]) <= {"camera", "flower", "rocket"}
    parts = rows[rows["quantity"] == "attention"]
    parts = parts[parts["target"].isin(["itself", "own object", "background", "CLS"])]
    totals = parts.groupby(["name", "layer"])["value"].sum()
    assert totals.to_numpy() == pytest.approx(100, rel=1e-4)
    assert rows.loc[rows["quantity"] == "place", "value"].between(0, 100).all()
    table = tell_subjects.summary(rows)
    assert set(table["against"]) == {"", *tell_subjects.NULLS}
    never_loads()
    pd.testing.assert_frame_equal(rows, measure_subjects.measure(chosen))


def test_a_folder_without_masks_is_refused(tmp_path, tiny_folder, own_store):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.jpg")
    chosen = settings("04_feature_misalignment", model=tiny_folder(), images=(str(tmp_path),))
    with pytest.raises(ValueError, match=r"1 of 1 images have no mask beside them: a\.jpg"):
        measure_subjects.measure(chosen)
