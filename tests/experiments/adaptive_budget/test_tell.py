"""Gains of rules on made-up answers, where they are known, and the claim decided on them."""

import numpy as np
import pytest

from tests.experiments.adaptive_budget.made_up import answers, images
from vzlib.claims.evidence import Evidence
from vzlib.experiments.adaptive_budget import claims, tell
from vzlib.notebooks import settings

COUNTS = np.tile([16, 32, 64, 128], 60)  # 60 tokens are needed on average


class Given(Evidence):
    def __init__(self, rows, curves):
        super().__init__(settings("15_claims"))
        self.given = {"measure": rows, "measure_images": curves}

    def rows(self, notebook, function="measure", *, module="measure", **only):
        assert (notebook, function, only) == (claims.NOTEBOOK, "measure", {})
        return self.given[module]


def gains(needs, held_by, things=None, budgets=(64,)):
    table = tell.differences(tell.told(answers(needs), images(held_by, things)), budgets)
    return table.set_index(["budget", "rule", "against"]).sort_index()


def test_a_rule_that_knows_the_need_gains_and_one_that_does_not_loses():
    knowing = gains(COUNTS, COUNTS).loc[(64, "entropy")]
    assert (knowing["low"] > 0).all()
    blind = gains(COUNTS, np.random.default_rng(1).permutation(COUNTS)).loc[(64, "entropy")]
    assert blind.loc[tell.FIXED, "high"] < 0  # three of four need no more than 64
    assert blind.loc[tell.SPREAD, "low"] < 0 < blind.loc[tell.SPREAD, "high"]
    assert (blind["n"] == 480).all()


def test_things_are_left_out_where_no_scene_is_known():
    assert "things" not in gains(COUNTS, COUNTS).index.get_level_values("rule")
    known = gains(COUNTS, COUNTS[::-1], things=COUNTS / 16)
    assert known.loc[(64, "things", tell.FIXED), "low"] > 0


def test_budgets_are_pooled_and_p_is_corrected_over_rules_of_attention():
    table = gains(COUNTS, COUNTS, budgets=(40, 64))
    own = table["value"].xs("mass", level="rule").xs(tell.FIXED, level="against")
    assert own[tell.POOLED] == pytest.approx((own[40] + own[64]) / 2)
    corrected = table["holm"].dropna()
    assert len(corrected) == 3 * 5
    assert (corrected >= table.loc[corrected.index, "p"]).all()
    assert not {"hindsight", "other questions"} & set(corrected.index.get_level_values("rule"))


def test_what_rules_give_is_told_with_their_words():
    one = tell.told(answers(COUNTS), images(COUNTS, things=-COUNTS))
    sizes = tell.allotted(one, (64,)).set_index("rule")
    assert sizes.loc["entropy", "mean"] == pytest.approx(64)
    assert sizes.loc["entropy", "with_things"] == pytest.approx(-1)
    assert sizes.loc["entropy", "least"] < 20 < 120 < sizes.loc["entropy", "most"]
    assert sizes.loc["mass", "words"].endswith("% of the attention")


def test_the_claim_is_decided_by_the_best_rule_with_an_interval_for_all():
    rows = answers(COUNTS)
    found = claims.by_attention(Given(rows, images(COUNTS)))
    assert found.verdict == "found" and found.n == 480 and "at a mean of 64 and 128" in found.unit
    # With everything right everywhere no rule can be better.
    same = claims.by_attention(Given(answers(np.full(240, 16)), images(COUNTS)))
    assert same.verdict == "not found" and same.interval.value == pytest.approx(0)
    assert "Hindsight" in found.note
