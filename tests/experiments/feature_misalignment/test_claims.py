"""Where a subject looks and where dominant tokens lie, decided from made-up scenes."""

import pandas as pd
import pytest

from tests.given import decide
from vzlib.experiments.feature_misalignment import claims, tell


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


def test_the_ledger_decides_by_the_smallest_budget():
    rows = rows_of(dominant=1.0, own=2.0)
    more = rows[rows["quantity"] == "place"].assign(retained=128, share=90.0)
    looks, lies = (decide(claims, claim, pd.concat([more, rows])) for claim in ("C08", "C09"))
    assert looks.verdict == lies.verdict == "opposite"
    assert (looks.n, looks.data) == (2, "scenes")
    assert looks.interval == pytest.approx((0.5, 0.5, 0.5))
    assert lies.note.startswith("30 % of the dominant tokens lie on background, which is 60 %")
    assert lies.note.endswith("near the border / expected by chance 0.50 [0.50, 0.50], opposite")
