"""Verdicts on made-up weights."""

import numpy as np
import pytest

from tests.experiments.redundancy.made_up import rows_of
from vzlib.experiments.redundancy import tell
from vzlib.experiments.redundancy.claims import verdicts
from vzlib.notebooks import settings


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
    chosen = settings("01_redundancy", dominant=(2, 9))
    rows = rows_of(weights, weights)
    found = verdicts(tell.summary(rows, chosen), chosen)
    by_claim = found.set_index(["claim", "quantity"])["verdict"]
    assert by_claim["C01"].tolist() == [near_zero]
    assert by_claim["C02", "attention held by the 2 dominant tokens, %"] == almost_all
