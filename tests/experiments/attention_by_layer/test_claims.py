"""Verdicts on profiles over depth that are known."""

import itertools

import numpy as np
import pandas as pd
import pytest

from tests.experiments.attention_by_layer.made_up import PAPER, rows_of
from tests.given import decide
from vzlib.experiments.attention_by_layer import claims

GRADUAL = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9, 0.6]
PEAK_BEFORE = [0.2, 0.22, 0.24, 0.3, 0.75, 0.95, 0.9, 0.6]
LAST_HIGHEST = [0.2, 0.22, 0.24, 0.3, 0.75, 0.8, 0.9, 0.95]


def outcome(profile, **changes):
    table = claims.verdicts(rows_of(np.array(profile), **changes))
    return table.set_index("claim")["verdict"].to_dict()


@pytest.mark.parametrize(
    ("profile", "verdicts"),
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
def test_verdicts_on_profiles(profile, verdicts):
    assert tuple(outcome(profile).values()) == verdicts


def test_measures_that_fall_with_concentration_give_the_same_verdicts():
    falling = outcome(1 - np.array(PEAK_BEFORE), measure="normalised entropy")
    assert falling == outcome(PEAK_BEFORE)


def test_without_a_layer_behind_the_one_that_is_read_nothing_can_be_said_of_it():
    rows = rows_of(np.array(PAPER))
    rows["read"] = rows["layer"] == 8
    found = claims.verdicts(rows).set_index("claim")
    assert found.loc["C05", "verdict"] == "not measurable here"
    assert np.isnan(found.loc["C05", "value"])


def test_the_conclusion_says_what_was_found():
    table = claims.verdicts(rows_of(np.array(PAPER)))
    assert claims.conclusion(table).startswith("On scenes the paper's profile is found:")
    table = claims.verdicts(rows_of(np.array(PEAK_BEFORE)))
    text = claims.conclusion(table)
    assert "profile is found in part" in text and "layer that is read not found" in text


def ledger_rows(levels, kinds=("photographs", "scenes")):
    """Rows of `attention_by_layer.measure`; the last layer but one is read."""
    noise = np.random.default_rng(0).normal(0, 0.01, (20, len(levels)))
    return pd.DataFrame(
        [
            (kind, f"{image}", f"{image}", rule, layer, layer == len(levels) - 1, "gini", value)
            for kind, rule, image in itertools.product(kinds, ("cls", "mean"), range(20))
            for layer, value in enumerate(levels + noise[image], 1)
        ],
        columns=["images", "name", "unit", "rule", "layer", "read", "measure", "value"],
    )


def test_the_profile_over_depth_is_decided_by_photographs():
    rows = ledger_rows(np.array([0.2, 0.22, 0.8, 0.9, 0.6]))
    rows.loc[rows["images"] == "scenes", "value"] *= -1
    converges, peaks, disperses = (decide(claims, claim, rows) for claim in ("C03", "C04", "C05"))
    assert [one.verdict for one in (converges, peaks, disperses)] == ["found"] * 3
    assert disperses.interval.value == pytest.approx(0.3, abs=0.01)
    assert (disperses.data, disperses.n) == ("photographs", 20)
    assert "scenes, opposite" in disperses.note
