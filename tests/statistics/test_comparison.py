"""Accuracies, paired differences and their intervals, against simulation and by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp
from statsmodels.stats.multitest import multipletests

from vzlib.statistics.comparison import headings, holm, paired_difference, percent_of, summary


def frame(scores, way="a", task="reading", images=None) -> pd.DataFrame:
    count = len(scores)
    return pd.DataFrame(
        {
            "way": way,
            "task": task,
            "image": range(count) if images is None else images,
            "question": [f"question {n}" for n in range(count)],
            "answer": ["x"] * (count // 2 + 1) + ["y"] * (count - count // 2 - 1),
            "score": np.asarray(scores, dtype=float),
        }
    )


def test_summary_counts_and_bounds():
    row = summary(frame([1] * 9 + [0])).iloc[0]
    assert (row["n"], row["value"], row["majority"]) == (10, 90, 60)
    assert row["low"] == pytest.approx(59.58, abs=0.01)  # Wilson
    assert row["high"] == pytest.approx(98.21, abs=0.01)


def test_the_mean_weighs_tasks_alike_however_many_questions_they_have():
    rows = pd.concat([frame([1] * 30), frame([0] * 10, task="counting")])
    table = summary(rows).set_index("task")
    assert table.loc["mean", "value"] == 50
    assert table.loc["mean", "n"] == 40


def test_differences_are_paired():
    rows = pd.concat([frame([1] * 8 + [0] * 2), frame([1] * 5 + [0] * 5, "b")])
    gain = paired_difference(rows, "a", "b")
    assert (gain.value, gain.n) == (pytest.approx(30), 10)
    # As of a paired t-test: standard error 0.1528, t of 9 degrees of freedom 2.262.
    assert gain.high - gain.value == pytest.approx(2.2622 * 100 * 0.15275, abs=0.01)
    assert gain.p == pytest.approx(ttest_1samp([1] * 3 + [0] * 7, 0).pvalue)
    with pytest.raises(ValueError, match="the same questions"):
        paired_difference(rows.iloc[:-1], "a", "b")
    with pytest.raises(ValueError, match="a and c need"):
        paired_difference(rows, "a", "c")


def test_seeds_of_one_question_count_once():
    rows = pd.concat([frame([1] * 8 + [0] * 2), frame([1] * 5 + [0] * 5, "b")])
    twice = pd.concat([rows, rows])
    assert paired_difference(twice, "a", "b") == paired_difference(rows, "a", "b")


def test_no_difference_anywhere_has_p_one():
    rows = pd.concat([frame([1, 0, 1]), frame([1, 0, 1], "b")])
    assert paired_difference(rows, "a", "b") == (0, 0, 0, 1, 3)


def test_the_interval_covers_where_questions_of_an_image_stand_and_fall_together():
    generator = np.random.default_rng(0)
    covered, simulations, images = 0, 200, 60
    for _ in range(simulations):
        hard = generator.random(images) < 0.3  # of true accuracy 70 % in both tasks
        rows = pd.concat(
            [frame(~hard, task="one"), frame(~hard, task="two")]  # twice the same fate
        )
        mean = summary(rows).set_index("task").loc["mean"]
        covered += mean["low"] <= 70 <= mean["high"]
    assert 0.905 <= covered / simulations <= 0.985


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.6, 0.7])) == pytest.approx([1, 1])
    assert len(holm(np.array([]))) == 0
    for seed in range(20):
        given = np.random.default_rng(seed).random(9).round(1) ** 3  # with ties
        assert np.array_equal(holm(given), multipletests(given, method="holm")[1])


def test_percent_of_vanilla_is_the_mean_of_the_tasks_ratios():
    rows = pd.concat(
        [
            frame([1] * 8 + [0] * 2),
            frame([1] * 4 + [0] * 6, "b"),
            frame([1] * 10, task="counting"),
            frame([1] * 10, "b", task="counting"),
        ]
    )
    percent = percent_of(rows, "b", "a")
    assert percent.value == pytest.approx(75)
    # The ratio of 4 to 8 has a standard error of 19.2 points, the other task none: half of it.
    assert percent.high - percent.value == pytest.approx(percent.value - percent.low)
    assert percent.high - percent.value == pytest.approx(21.7, abs=0.5)
    nothing = percent_of(pd.concat([frame([0] * 4), frame([1] * 4, "b")]), "b", "a")
    assert np.isnan(nothing.value)
    rare = percent_of(pd.concat([frame([1] + [0] * 3), frame([1] * 4, "b")]), "b", "a")
    assert rare.value == pytest.approx(400) and np.isfinite(rare).all()


def answers(generator: np.random.Generator, images: int) -> pd.DataFrame:
    """Two ways, three tasks, one question of each task about every image; some images are hard.

    "all" answers 90 % of the easy and 30 % of the hard images right, "few" 70 % and 30 %; three in
    ten are hard, so that the accuracies are 72 and 58 % in every task, and 80.6 % is kept.
    """
    hard = generator.random(images) < 0.3
    rows = []
    for task in ("one", "two", "three"):
        for way, easy in (("all", 0.9), ("few", 0.7)):
            right = generator.random(images) < np.where(hard, 0.3, easy)
            rows.append(frame(right, way, task))
    return pd.concat(rows)


def coverage(images: int, simulations: int) -> dict[str, float]:
    generator = np.random.default_rng(images)
    found = dict.fromkeys(("kept", "lost", "mean"), 0)
    for _ in range(simulations):
        rows = answers(generator, images)
        kept, lost = percent_of(rows, "few", "all"), paired_difference(rows, "few", "all")
        mean = summary(rows[rows["way"] == "few"]).set_index("task").loc["mean"]
        found["kept"] += kept.low <= 100 * 58 / 72 <= kept.high
        found["lost"] += lost.low <= -14 <= lost.high
        found["mean"] += mean["low"] <= 58 <= mean["high"]
    return {name: count / simulations for name, count in found.items()}


@pytest.mark.slow
def test_what_is_kept_and_lost_is_covered():
    # Wide bounds for few simulations, and too narrow for an interval of 90 or of 99 %.
    for name, share in coverage(60, 150).items():
        assert 0.905 <= share <= 0.985, name


@pytest.mark.long
@pytest.mark.parametrize("images", [16, 32])
def test_what_is_kept_and_lost_is_covered_in_many_simulations(images):
    for name, share in coverage(images, 2000).items():
        assert 0.93 <= share <= 0.97, name


def test_headings_of_tasks_are_apart_from_other_columns_and_from_each_other():
    found = headings(["n", "reading", "n (task)", "n (task) (task)"], {"n", "value"})
    assert found == {
        "n": "n (task) (task) (task)", "reading": "reading", "n (task)": "n (task)",
        "n (task) (task)": "n (task) (task)",
    }  # fmt: skip
    assert headings(["n"], {"n", "n (task)"}) == {"n": "n (task) (task)"}
