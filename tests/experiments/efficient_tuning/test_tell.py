"""What made-up answers amount to, before and after tuning."""

import numpy as np
import pytest

from tests.experiments.efficient_tuning.made_up import answers, tunings
from vzlib.experiments.efficient_tuning import tell


def test_what_tuning_gives_back():
    gained = tell.gains(answers()).set_index(["data", "budget"])
    row = gained.loc[("scenes", 64)]
    assert (row["before"], row["after"]) == (pytest.approx(60), pytest.approx(80))
    assert row["value"] == pytest.approx(20) and row["low"] < 20 < row["high"]
    assert row["recovered"] == pytest.approx(100 * 20 / 30)
    assert row["recovered_low"] < row["recovered"] < row["recovered_high"]
    assert row["kept"] == pytest.approx(100 * 80 / 90)
    assert row["kept_before"] == pytest.approx(100 * 60 / 90)
    assert (row["paper_before"], row["paper_after"]) == (94.0, 95.2)
    assert np.isnan(gained.loc[("scenes", 32), "paper_after"])  # Table 1 has no such budget
    assert row["n"] == 800 and row["p"] < 0.001
    assert row["verdict"] == "not found" and gained.loc[("scenes", 32), "verdict"] == ""
    said = tell.conclusion(gained.reset_index(), tell.with_all(answers()), "scenes")
    assert "64 tokens: 60.0 % before, 80.0 % after tuning, 20.0 [" in said
    assert "the paper's LLaVA-1.5-7B: +1.2 points" in said and "67 % of what was lost" in said


def test_with_all_tokens_and_with_other_data():
    whole = tell.with_all(answers()).set_index(["data", "budget"])["value"]
    assert whole[("scenes", 64)] == pytest.approx(-2)
    assert whole[("scenes", 32)] == pytest.approx(-10)
    better = tell.matching(answers(), "scenes").set_index("budget")["value"]
    assert better.to_dict() == {64: pytest.approx(10), 32: pytest.approx(0)}


def test_nothing_is_recovered_where_nothing_was_lost():
    levels = {("nothing", 0, 576): 0.6, ("nothing", 0, 64): 0.6, ("scenes", 64, 576): 0.6,
              ("scenes", 64, 64): 0.7}  # fmt: skip
    row = tell.gains(answers(levels)).iloc[0]
    assert np.isnan(row["recovered"]) and row["value"] == pytest.approx(10)


def test_times_are_those_of_the_last_step():
    row = tell.times(tunings()).iloc[0]
    assert (row["steps"], row["minutes"], row["cpu_minutes"]) == (20, 80 / 60, 60 / 60)
    assert row["loss"] == pytest.approx((1 / 19 + 1 / 20) / 2)
