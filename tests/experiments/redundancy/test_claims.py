"""Verdicts on made-up weights."""

import numpy as np
import pandas as pd
import pytest

from tests.experiments.redundancy.made_up import rows_of
from tests.given import decide
from vzlib.experiments.redundancy import claims, tell
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
    found = claims.verdicts(tell.summary(rows, chosen), chosen)
    by_claim = found.set_index(["claim", "quantity"])["verdict"]
    assert by_claim["C01"].tolist() == [near_zero]
    assert by_claim["C02", "attention held by the 2 dominant tokens, %"] == almost_all


FEW = np.repeat([0.9 / 50, 0.1 / 526], [50, 526])  # 50 of 576 patches hold 90 %, the others little
EVEN = np.full(576, 1 / 576)


def images(weights, **changes):
    """Two images with these weights, and their rows by the other rule: even ones."""
    others = rows_of(EVEN, EVEN, **changes, rule="mean")
    return pd.concat([rows_of(weights, weights, **changes, rule="cls"), others])


def test_the_ledger_is_decided_by_the_first_images_and_the_rule_that_selects():
    rows = pd.concat([images(FEW, kind="photographs"), images(EVEN, kind="scenes")])
    near, almost = (decide(claims, claim, rows) for claim in ("C01", "C02"))
    assert (near.verdict, almost.verdict) == ("found", "found")
    assert near.interval.value == pytest.approx(100 * 526 / 576)
    assert almost.interval.value == pytest.approx(90 + 14 * 100 * 0.1 / 526)
    assert (near.n, near.data, near.unit) == (
        2, "photographs", "tokens below 0.1 of the largest weight, %",
    )  # fmt: skip
    assert almost.unit == "attention held by the 64 dominant tokens, %"
    assert "scenes, attention held by the 64 dominant tokens, %: not found: 11.1" in almost.note
    turned = pd.concat([images(EVEN, kind="photographs"), images(FEW, kind="scenes")])
    assert decide(claims, "C01", turned).verdict == "not found"
    assert decide(claims, "C02", turned).verdict == "not found"


@pytest.mark.parametrize(
    ("cls", "times", "verdict"),
    [
        ((FEW, FEW), 8.1, "found"),  # 0.9 of the attention on a ninth of the patches
        ((FEW[::-1], FEW[::-1]), 0.11, "opposite"),
        ((FEW, FEW[::-1]), 4.1, "not found"),
    ],
)
def test_cls_attends_to_the_proxies_or_not(cls, times, verdict):
    proxies = np.repeat([0.9 / 64, 0.1 / 512], [64, 512])  # the first patches, by all tokens
    rows = pd.concat([rows_of(*cls, rule="cls"), rows_of(proxies, proxies, rule="mean")])
    one = decide(claims, "C07", rows)
    assert one.verdict == verdict
    assert one.interval.value == pytest.approx(times, abs=0.05)
    assert (one.n, one.data) == (2, "scenes")


def test_without_cls_nothing_can_be_said_of_it():
    assert decide(claims, "C07", rows_of(EVEN, EVEN, rule="mean")).verdict == "not measurable here"
