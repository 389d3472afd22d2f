"""Where a subject looks and where dominant tokens lie, decided from made-up scenes."""

import numpy as np
import pandas as pd
import pytest

from vzlib.experiments.feature_misalignment import claims, tell
from vzlib.experiments.feature_misalignment.measure_subjects import COLUMNS


def rows_of(dominant, own):
    """Two scenes in which a dominant token gets `dominant` and one of the object `own`."""
    rows = []
    for scene in (0, 1):
        common = (64, 4)
        for target, share in (("dominant", dominant), ("own object", own)):
            rows.append((scene, "attention", "shape", target, 3, *common, share, 1.0))
        for target in ("background", "periphery"):
            rows.append((scene, "place", "object", target, 3, *common, 30.0, 60.0))
    columns = ["scene", "quantity", "kind", "target", "layer", "retained", "n", "share", "expected"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize(
    ("dominant", "own", "ratio", "expected"),
    [(6.0, 2.0, 3.0, "found"), (1.0, 4.0, 0.25, "opposite"), (2.0, 2.0, 1.0, "not found")],
)
def test_verdicts_follow_the_ratio(dominant, own, ratio, expected):
    by_claim = claims.verdicts(tell.summary(rows_of(dominant, own)))
    assert by_claim["claim"].to_list() == ["C08", "C09", "C09"]
    assert by_claim["verdict"].to_list() == [expected, "opposite", "opposite"]
    assert by_claim["measured"].iloc[0].startswith(f"{ratio:.2f} ")


def subject_rows(background, dominant, own, images="photographs"):
    """Two photographs; a third of the patches is background, on other masks two thirds."""
    rows = []
    for name in ("one", "two"):
        common = (images, name, name, "cls", 3, True)
        nulls = (np.nan, np.nan)
        for count, share in zip((6, 64, 128), background, strict=True):
            rows.append((*common, "place", "background", count, share, 33.0, 66.0, 50.0))
        rows.append((*common, "attention", "dominant", 64, dominant, 2.0, *nulls))
        rows.append((*common, "attention", "own object", 64, own, 4.0, *nulls))
        rows.append((*common, "attention", "background", 64, 1.0, 1.0, *nulls))
        rows.append((*common, "replaced", "subject", 6, 0.3, np.nan, np.nan, 0.1))
    return pd.DataFrame(rows, columns=COLUMNS)


class Both:
    """Evidence of both measurements."""

    def __init__(self, scenes, subjects):
        self.by_module = {"measure": scenes, "measure_subjects": subjects}

    def rows(self, notebook, *, module="measure"):
        assert notebook == claims.NOTEBOOK
        return self.by_module[module]


@pytest.mark.parametrize(
    ("background", "area", "others"),
    [(10.0, "opposite", "opposite"), (50.0, "found", "opposite"), (80.0, "found", "found")],
)
def test_places_are_held_against_area_and_other_masks(background, area, others):
    table = claims.subject_verdicts(subject_rows((0.0, background, 99.0), 6.0, 4.0))
    by_quantity = table[table["claim"] == "C09"].set_index("quantity")["verdict"]
    start = "of the 64 most attended on background, %, less "
    assert by_quantity[start + "the background's area"] == area
    assert by_quantity[start + "masks of other images"] == others


def test_looks_are_counted_per_token_and_what_is_lost_against_as_many_others():
    table = claims.subject_verdicts(subject_rows((0.0, 9.0, 9.0), 6.0, 4.0)).set_index("claim")
    looks, lost = table.loc["C08"].itertuples()
    assert (looks.value, looks.verdict) == (3.0, "found")
    assert lost.value == pytest.approx(3.0) and lost.verdict == "found"


def test_the_ledger_decides_by_the_smallest_budget_on_images_and_notes_scenes():
    evidence = Both(rows_of(dominant=1.0, own=2.0), subject_rows((0.0, 9.0, 99.0), 1.0, 4.0))
    looks, lies = (claims.CLAIMS[claim](evidence) for claim in ("C08", "C09"))
    assert looks.verdict == lies.verdict == "opposite"
    assert (looks.n, looks.data) == (2, "photographs")
    assert looks.interval == pytest.approx((0.5, 0.5, 0.5))
    assert lies.interval == pytest.approx((-24.0, -24.0, -24.0))
    assert lies.note.startswith("photographs, of the 64 most attended on background, %, less masks")
    assert lies.note.endswith("near the border / expected by chance: 0.50 [0.50, 0.50], opposite")
