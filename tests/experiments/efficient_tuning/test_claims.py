"""Claims about tuning, decided on made-up answers and times."""

import pytest

from tests.experiments.efficient_tuning.made_up import LEVELS, answers, tunings
from vzlib.claims.evidence import Evidence
from vzlib.experiments.efficient_tuning import claims
from vzlib.notebooks import settings


class Given(Evidence):
    """Evidence with these rows, as far as the settings ask for them."""

    def __init__(self, rows, times=None):
        super().__init__(settings("15_claims"))
        self.given = {"measure": rows, "tune": times}

    def rows(self, notebook, function="measure", **only):
        assert notebook == claims.NOTEBOOK
        chosen = self.settings(notebook).model_copy(update=only)
        rows = self.given[function]
        rows = rows[rows["data"].isin({"nothing", chosen.questions, *chosen.others})]
        tuned_for = rows["tuned_for"] if "tuned_for" in rows else rows["budget"]
        return rows[rows["budget"].isin({576, *chosen.budgets})
                    & tuned_for.isin({0, *chosen.budgets})]  # fmt: skip


def decide(claim, levels=None, times=None):
    return claims.CLAIMS[claim](Given(answers({**LEVELS, **(levels or {})}), times))


def test_what_is_kept_after_tuning_must_reach_the_papers_percentage():
    low = decide("C23")
    assert low.verdict == "not found" and low.interval.value == pytest.approx(100 * 80 / 90)
    assert low.rule == "whole interval at least 95.2" and low.n == 800
    assert low.note.startswith("tuning gains 20.0 [") and "+1.2" in low.note
    assert decide("C23", {("scenes", 64, 64): 0.9}).verdict == "found"


def test_of_llava_next_the_same_share_of_tokens_is_asked():
    one = decide("C27", {("scenes", 32, 32): 0.9})
    assert one.verdict == "found" and one.note.startswith("32 of 576 tokens, the share that 160")


def test_the_data_matter_where_it_is_most():
    much = decide("C46")
    assert much.verdict == "opposite" and much.interval.value == pytest.approx(10)
    assert much.note.startswith("largest over things at 64 tokens")
    same = {("things", 64, 64): 0.8, ("things", 32, 32): 0.7}
    assert decide("C46", same).verdict == "found"
    none = Given(answers({key: share for key, share in LEVELS.items() if key[0] != "things"}))
    assert claims.CLAIMS["C46"](none).verdict == "not measurable here"


def test_minutes_are_those_of_all_steps():
    one = decide("C47", times=tunings())
    assert one.verdict == "found" and one.interval.value == pytest.approx(20 * 3 / 60)
    assert one.n == 20 and "160 images, 3000 questions" in one.note
    slow = tunings().assign(cpu_seconds=lambda rows: 100 * rows["cpu_seconds"])
    assert decide("C47", times=slow).verdict == "opposite"
