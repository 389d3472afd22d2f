"""What made-up trainings amount to, and what the ledger and the figure make of them."""

import numpy as np
import pytest

from tests.drawn import bands, check_print, whiskers
from tests.experiments.training_stage.made_up import LEVELS, SECONDS, answers, courses, memory
from vzlib import notebooks
from vzlib.claims.evidence import Evidence
from vzlib.experiments.training_stage import claims, draw, tell
from vzlib.plotting.style import TEXT, look


def test_training_against_inference_only_over_seeds():
    gained = tell.gains(answers()).set_index(["budget", "same"])
    row = gained.loc[(192, "steps")]
    assert row["value"] == pytest.approx(11) and row["seeds"] == 3 and row["n"] == 200
    half = 4.303 * 1 / np.sqrt(3)  # t of two degrees of freedom, seeds a point apart
    assert (row["low"], row["high"]) == (pytest.approx(11 - half, abs=0.01),
                                         pytest.approx(11 + half, abs=0.01))  # fmt: skip
    assert row["kept"] == pytest.approx(100 * 81 / 80)
    assert row["inference"] == pytest.approx(100 * 70 / 80)
    assert (row["trained_with_paper"], row["inference_paper"]) == (100.6, 98.5)
    assert gained.loc[(128, "time"), "value"] == pytest.approx(16) and row["verdict"] == "found"
    one = tell.gains(answers(seeds=(0,))).iloc[0]
    assert one["value"] == pytest.approx(10) and np.isnan(one["low"])
    assert one["verdict"] == "not measurable here"  # one seed has no interval


def test_a_step_is_so_many_times_as_fast_and_takes_so_much_less_memory():
    speed = tell.speed(courses(), memory()).set_index("budget")
    assert speed["value"].round(6).to_dict() == {576: 1, 192: 2, 128: 3}
    assert speed["n"].tolist() == [33, 33, 33]  # pairs of steps, the first of a seed apart
    assert speed["less"].round().to_dict() == {576: 0, 192: 36, 128: 68}
    faster, less = tell.paper_speed()
    assert faster == pytest.approx(33.8 / 15.9) and less == pytest.approx(44.4, abs=0.1)
    said = tell.conclusion(tell.gains(answers()), tell.speed(courses(), memory()))
    assert "192 tokens, the same steps: trained with them, the model keeps 101.2 %" in said
    assert "a step is 2.00 times as fast" in said
    little = tell.gains(answers()).assign(kept=np.nan, inference=np.nan)
    said = tell.conclusion(little, tell.speed(courses(), memory()))
    assert (
        "nan" not in said and "points better than with them at inference only over 3 seeds" in said
    )


class Given(Evidence):
    def __init__(self, levels=None, seconds=None):
        super().__init__(notebooks.settings("15_claims"))
        self.given = {"answers": answers(levels), "courses": courses(seconds), "memory": memory()}

    def rows(self, notebook, function="measure", **only):
        assert notebook == claims.NOTEBOOK and not only
        return self.given[function]


def test_claims_on_time_and_loss():
    fast = claims.CLAIMS["C44"](Given())
    assert fast.verdict == "found" and fast.interval.value == pytest.approx(3)
    assert "2.13 times and 44 % less memory, here 68 %" in fast.note
    assert "beats inference only: found, 11.0 [" in fast.note
    slow = claims.CLAIMS["C44"](Given(seconds={**SECONDS, 128: 1.6}))
    assert slow.verdict == "not found" and slow.interval.value == pytest.approx(1.875)
    assert claims.CLAIMS["C45"](Given()).verdict == "not found"  # 101.25 with bounds below 100
    more = claims.CLAIMS["C45"](Given(levels={**LEVELS, (192, "steps", 192): 0.84}))
    assert more.verdict == "found" and more.n == 3


def test_the_figure_shows_accuracy_cost_and_loss():
    scores = tell.scores(answers())
    assert scores["majority"].eq(100).all()  # every answer is x
    drawn = draw.figure(scores, tell.speed(courses(), memory()), courses())
    first, second, third = drawn.axes
    lines = {line.get_label(): list(line.get_ydata()) for line in first.lines}
    assert lines[look("inference").label] == pytest.approx([60, 70])
    assert lines[look("same steps").label] == pytest.approx([71, 81])
    assert lines[look("same time").label] == pytest.approx([76, 86])
    assert lines["all tokens"][0] == pytest.approx(80)
    assert len(bands(first)) == 3
    middles = [(ends[0, 1] + ends[1, 1]) / 2 for ends in whiskers(second)]
    assert middles == pytest.approx([1, 2, 3])
    assert [line.get_label() for line in third.lines] == [
        f"{budget} tokens" for budget in (576, 192, 128)
    ]
    check_print(drawn, TEXT)


def test_the_table(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    table = draw.table(tell.gains(answers()), notebooks.settings("10_training_stage"))
    row = table.cells.iloc[0]
    assert (row["tokens"], row["the same"], row["the paper's, trained"]) == (
        "192",
        "steps",
        "100.6",
    )
    assert row["points"].startswith("+11.0 [")
