"""What made-up answers amount to: the table, the verdicts, the conclusion."""

import numpy as np
import pandas as pd
import pytest

from vzlib.experiments.token_budget import draw, tell
from vzlib.experiments.token_budget.claims import verdicts
from vzlib.notebooks import settings


def graded(rows: pd.DataFrame, shares: dict[str, float] | None = None) -> pd.DataFrame:
    """Scores as if each method had the share of right answers that belongs to it."""
    shares = {"vanilla": 1.0, "visionzip": 0.8, "random": 0.4, "fastv": 0.6, **(shares or {})}
    draw = np.random.default_rng(0)
    return rows.assign(score=[float(draw.random() < shares[name]) for name in rows["method"]])


@pytest.fixture
def answers() -> pd.DataFrame:
    points = [
        ("vanilla", 576),
        *((name, budget) for budget in (192, 64) for name in ("visionzip", "random")),
    ]
    points.append(("fastv", 192))
    rows = [
        (name, budget, 0, task, f"scene {n}", "?", "yes", 0.0, budget, budget, 1.0)
        for name, budget in points
        for task in ("existence", "reading")
        for n in range(200)
    ]
    columns = ["method", "budget", "seed", "task", "image", "question", "answer", "score",
               "at_input", "average", "gflops"]  # fmt: skip
    return graded(pd.DataFrame(rows, columns=columns))


def test_the_table_compares_with_visionzip_at_the_same_budget(answers):
    table = tell.table(answers).set_index(["method", "budget"])
    row = table.loc[("random", 64)]
    own = answers[answers["budget"] == 64].groupby("method")["score"].mean()
    assert row["difference"] == pytest.approx(100 * (own["random"] - own["visionzip"]))
    assert row["difference_low"] < row["difference"] < row["difference_high"] < 0
    assert row["p"] < 1e-6
    assert table.loc[("visionzip", 64), ["difference", "p"]].isna().all()
    assert table.loc[("vanilla", 576), "percent"] == 100
    assert row["percent"] == pytest.approx(100 * own["random"], abs=0.1)


def test_verdicts_follow_the_intervals(answers):
    found = verdicts(answers).set_index("claim")
    decided = found["verdict"]
    assert decided["C15"] == decided["C17"] == "not found"  # 80 % kept, 94.0 and 98.5 claimed
    assert decided["C20"] == "found"
    assert decided["C18"] == decided["C19"] == "not measurable here"
    assert "too few layers for fastv to average 64 tokens" in found.loc["C18", "note"]
    assert "C16" not in found.index  # nothing was measured at 128

    equal = graded(answers, {"fastv": 0.8, "visionzip": 1.0})
    worse = equal.assign(score=equal["score"].where(equal["method"] != "visionzip", 0.0))
    assert verdicts(worse).set_index("claim").loc["C20", "verdict"] == "opposite"


def test_the_table_and_the_verdicts_give_the_same_numbers(answers):
    table = tell.table(answers).set_index(["method", "budget"])
    found = verdicts(answers).set_index("claim")["measured"]
    own = table.loc[("visionzip", 64)]
    bounds = (own["percent"], own["percent_low"], own["percent_high"])
    assert found["C15"].startswith("{:.1f} [{:.1f}, {:.1f}] %".format(*bounds))
    lead = -table.loc[("fastv", 192), "difference"]
    assert found["C20"].startswith(f"{lead:.1f} [")


def test_the_conclusion_names_the_best_and_who_differs(answers):
    said = tell.conclusion(tell.table(answers)).splitlines()
    assert said[0].startswith("192 tokens: VisionZip")
    assert "number 1 of 3 methods; the best is visionzip" in said[0]
    assert said[0].endswith("Better than VisionZip (p < 0.05, Holm): none; worse: fastv, random.")
    assert "number 1 of 2 methods" in said[1]


def test_numbers_of_the_paper_stand_beside_those_that_were_measured(answers):
    beside = tell.with_paper(tell.table(answers))
    printed = beside.set_index(["method", "budget"])["paper"].dropna().to_dict()
    assert printed == {
        ("vanilla", 576): 100, ("visionzip", 192): 98.5, ("fastv", 192): 88.2,
        ("visionzip", 64): 94.0,
    }  # fmt: skip


@pytest.mark.parametrize("task", ["a.b", "a:b", "x{y}", "n", "low", "p", "label"])
def test_tasks_may_have_any_name(answers, task, tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    named = answers.replace({"task": {"reading": task}})
    table = tell.table(named)
    column = table.columns[table.columns.get_loc("n") + 2]
    expected = tell.table(answers)
    pd.testing.assert_series_equal(table[column], expected["reading"], check_names=False)
    assert (table["n"] == expected["n"]).all()
    saved = draw.table(tell.with_paper(table), settings("06_token_budget"))
    assert saved.cells[column].tolist() == [f"{value:.1f}" for value in expected["reading"]]


@pytest.mark.parametrize("task", ["tokens", "at input", "% of vanilla", "p (Holm)"])
def test_no_task_takes_the_place_of_another_column(answers, task, tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    by_task = tell.with_paper(tell.table(answers))
    expected = draw.table(by_task, settings("06_token_budget")).cells
    saved = draw.table(by_task.rename(columns={"reading": task}), settings("06_token_budget"))
    renamed = saved.cells.rename(columns={f"{task} (task)": "reading"})
    pd.testing.assert_frame_equal(renamed, expected)
    assert saved.best[f"{task} (task)"].any()
