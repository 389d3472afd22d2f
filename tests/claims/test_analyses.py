"""What the ledger makes of the rows of each analysis: made up, so that the verdict is known."""

import numpy as np
import pandas as pd
import pytest

from vzlib.claims.evidence import Evidence
from vzlib.experiments.dominant_contextual import claims as dominant_contextual
from vzlib.experiments.efficiency import claims as efficiency
from vzlib.experiments.efficiency import verdicts as efficiency_verdicts
from vzlib.experiments.misalignment_ablation import claims as misalignment_ablation
from vzlib.notebooks import settings


class Given(Evidence):
    """Evidence with made-up rows of one notebook, by function; gives no more than is asked for."""

    def __init__(self, notebook, rows):
        super().__init__(settings("15_claims"))
        self.notebook, self.given = notebook, rows

    def rows(self, notebook, function="measure", *, module="measure", **only):
        assert notebook == self.notebook
        given = self.given[function if module == "measure" else module]
        settings = self.settings(notebook).model_copy(update=only)
        type(settings).model_validate(settings.model_dump())  # such settings there can be
        for name, values in only.items():
            given = given[given[name.removesuffix("s")].isin(values)]
        return given


def decide(analysis, claim, rows, **more):
    return analysis.CLAIMS[claim](Given(analysis.NOTEBOOK, {"measure": rows, **more}))


def ablation(baseline=0.8, ex1=0.8, ex2=0.8, dominant=5.0):
    levels = {"baseline": baseline, "ex1": ex1, "ex2": ex2}
    hard = np.random.default_rng(0).random(200)
    conditions = ("baseline", "ex1", "ex1 random", "ex2", "ex2 zipped", "ex2 random")
    tables = [
        pd.DataFrame(
            {
                "selector": "sparsevlm", "condition": condition, "seed": 0, "task": "reading",
                "image": [f"scene {image}" for image in range(200)], "question": "?",
                "answer": "x", "score": (hard < levels.get(condition, baseline)).astype(float),
                "dominant": dominant, "chance": 10.0, "covered": 80.0,
            },
        )
        for condition in conditions
    ]  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def test_the_ablation_is_told_in_percent_and_decided_by_its_sign():
    rows = ablation(ex1=0.4, ex2=0.6)
    lost, gained = (decide(misalignment_ablation, claim, rows) for claim in ("C11", "C12"))
    assert (lost.verdict, gained.verdict) == ("found", "opposite")
    assert lost.interval.value == pytest.approx(-50, abs=8) and lost.n == 200
    assert lost.note.endswith("than as many random ones: found")
    assert decide(misalignment_ablation, "C12", ablation(ex2=0.95)).verdict == "found"
    assert decide(misalignment_ablation, "C11", ablation()).verdict == "not found"


def test_fewer_dominant_tokens_than_by_chance_is_misaligned():
    other = ablation(dominant=29.0).query("condition == 'baseline'").assign(covered=75.0)
    given = {"measure_permuted": other}
    assert decide(misalignment_ablation, "C10", ablation(), **given).verdict == "found"
    more = decide(misalignment_ablation, "C10", ablation(dominant=30.0), **given)
    assert "dominant 29.0 instead of 30.0 %, a difference of 1.00 [1.00, 1.00] points" in more.note
    assert "covered 75.0 instead of 80.0 %, a difference of 5.00 [5.00, 5.00] points" in more.note
    assert more.verdict == "opposite" and more.interval.value == pytest.approx(3)
    assert more.note.startswith("30.0 % of the tokens that sparsevlm keeps are dominant")


def splits(none, half, images=200):
    hard = np.random.default_rng(0).random(images)
    levels = {("released", "released"): 0.7, ("split", "none"): none, ("split", "50 %"): half}
    tables = [
        pd.DataFrame(
            {
                "total": 64, "factor": factor, "choice": choice, "layer": 7, "task": "reading",
                "image": [f"scene {image}" for image in range(images)], "question": "?",
                "score": (hard < share).astype(float),
            }
        )
        for (factor, choice), share in levels.items()
    ]  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def test_contextual_tokens_and_the_best_split():
    rows = splits(none=0.5, half=0.9)
    saved, split = (decide(dominant_contextual, claim, rows) for claim in ("C13", "Q3"))
    assert saved.verdict == "found" and saved.interval.value == pytest.approx(20, abs=5)
    assert split.verdict == "found" and split.interval.value == pytest.approx(20, abs=5)
    assert "best of 2 other splits, contextual tokens: 50 %" in split.note
    assert saved.n == split.n == 200
    assert saved.note == "mean over the totals"  # nothing was asked about fine details
    rows = splits(none=0.9, half=0.5)
    assert decide(dominant_contextual, "C13", rows).verdict == "opposite"
    details = splits(none=0.4, half=0.5).assign(task="detail")
    both = decide(dominant_contextual, "C13", pd.concat([rows, details], ignore_index=True))
    assert "; on fine details alone 28.5 [" in both.note and both.note.endswith(", found (n = 200)")
    assert decide(dominant_contextual, "Q3", splits(0.7, 0.5)).verdict == "not found"


def test_times_are_of_a_geometry_and_a_device(monkeypatch):
    columns = ["claim", "measured", "verdict", "value", "low", "high", "unit", "rule"]
    unknown = (np.nan,) * 3
    table = pd.DataFrame(
        [
            (
                "C35",
                "4",
                "not found",
                4.0,
                3.9,
                4.1,
                "times as fast",
                "whole interval at least 7.8",
            ),
            ("C36", "times scatter", "not measurable here", *unknown, "", "at least 3"),
            ("C42", "30", "found", 30.0, 30.0, 30.0, "% less", "above 20"),
        ],
        columns=columns,
    )
    monkeypatch.setattr(efficiency_verdicts, "verdicts", lambda *_: table)
    times = pd.DataFrame({"device": "a processor", "round": [1, 1, 2]})
    fast, whole, memory, missing = (
        decide(efficiency, claim, times, costs=times) for claim in ("C35", "C36", "C42", "C40")
    )
    assert fast.verdict == "not found" and fast.n == 2
    assert fast.model == "llava-small and llava-small-2x, a processor"
    assert whole.note == "times scatter" and np.isnan(whole.interval.value)
    assert whole.command == "make reproduce SCALE=paper NOTEBOOKS=08"
    assert memory.note == "random weights; memory is counted, not sampled"
    assert missing.verdict == "not yet measured"
