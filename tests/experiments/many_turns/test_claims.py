"""C43 follows from the smaller lead at the largest budget."""

import pandas as pd
import pytest

from tests.experiments.many_turns.made_up import LEVELS, rows
from tests.given import decide
from vzlib.experiments.many_turns import claims


@pytest.mark.parametrize(
    ("shares", "verdict"),
    [((0.8, 0.7, 0.6), "found"), ((0.95, 0.95, 0.95), "opposite"), ((0.8, 0.8, 0.8), "not found")],
)
def test_the_verdict_is_that_on_the_method_which_is_nearest(shares, verdict):
    one = decide(claims, "C43", rows(LEVELS | {"sparsevlm": shares}))
    assert one.verdict == verdict and one.n == 300
    assert "the smaller lead of 2" in one.note and "FastV -" in one.note
    if verdict == "found":
        assert "that over SparseVLM" in one.note and one.interval.value > 5


def test_a_smaller_budget_does_not_decide():
    given = rows(LEVELS)
    less = rows({"visionzip": (0.1, 0.1, 0.1), "fastv": (0.9, 0.9, 0.9)}, seed=1)
    less = less[less["method"] != "vanilla"].assign(budget=192)
    both = pd.concat([given, less], ignore_index=True)
    assert decide(claims, "C43", both).interval == decide(claims, "C43", given).interval


def test_without_a_text_relevant_method_there_is_nothing_to_decide():
    one = decide(claims, "C43", rows({"visionzip": LEVELS["visionzip"]}))
    assert one.verdict == "not measurable here" and "288 tokens" in one.note
