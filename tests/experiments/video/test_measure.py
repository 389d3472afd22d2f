"""What is planned for clips and albums, what is measured, and what is refused."""

import pytest

from vzlib import notebooks
from vzlib.experiments.video import measure

FEW = {"clips": 2, "albums": 2, "budgets": (24,), "inside": ("fastv",)}


def settings(**changes):
    return notebooks.settings("13_video", **FEW | changes)


def test_what_few_layers_cannot_average_is_planned_and_not_measured(folder):
    points = measure.plan(settings(video_model=folder, budgets=(136, 768), inside=("fastv",)))
    spent = {(one.kind, one.method, one.budget): one.spends for one in points}
    assert spent["clip", "vanilla", 2056] == 2056 and spent["album", "vanilla", 1028] == 1028
    assert spent["clip", "fastv", 136] is None is spent["album", "fastv", 136]
    assert spent["clip", "fastv", 768] == pytest.approx(768, abs=1)
    assert len(points) == 2 * (1 + 2 * 5)


def test_every_question_is_asked_under_every_way(folder, own_store, monkeypatch):
    monkeypatch.setattr(measure, "FRAMES", {"album": 4})
    rows = measure.measure(settings(video_model=folder))
    ways = rows.groupby(["method", "spread", "budget"], sort=False)
    assert set(ways.groups) == {
        ("vanilla", "evenly", 1028), ("visionzip", "evenly", 24), ("visionzip", "attention", 24),
        ("random", "evenly", 24), ("uniform", "evenly", 24),
    }  # fmt: skip
    asked = {tuple(own["question"]) for _, own in ways}
    assert len(asked) == 1 and len(rows) == 5 * 6
    assert (rows["average"] == rows["budget"]).all() and set(rows["score"]) <= {0.0, 1.0}
    assert set(rows["image"]) == {"album 0", "album 1"}


def test_what_does_not_fit_is_refused_before_a_model_is_loaded(folder):
    with pytest.raises(ValueError, match=r"budgets=\[2000\] must be below 1028, all tokens of"):
        measure.plan(settings(video_model=folder, budgets=(2000,)))
    with pytest.raises(ValueError, match=r"budgets=\[4\] must be at least 8"):
        settings(video_model=folder, budgets=(4,))
