"""Answers of one method at many budgets: what any rule that gives images budgets will do.

A rule decides on images, not on answers, so that nothing needs to be measured again for it.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from vzlib import results
from vzlib.evaluation import questions
from vzlib.evaluation.shape import shape_of
from vzlib.experiments.adaptive_budget.settings import AdaptiveBudget
from vzlib.experiments.answers import by_task, identified
from vzlib.methods import registry


def measure(settings: AdaptiveBudget) -> pd.DataFrame:
    """Every question at every step of the ladder, stored step by step.

    Columns: tokens (the step), and those of `vzlib.evaluation.evaluate.evaluate` without way.
    Raises one ValueError for all that is wrong with the questions and all steps that the method
    cannot take, before a model is loaded.
    """
    patches = shape_of(settings.model).visual
    wrong = [f"step {step} of the ladder is above {patches}, the patches that {settings.model} has"
             for step in settings.ladder if step > patches]  # fmt: skip
    questions.refuse("the settings", [*wrong, *questions.problems(settings.questions)])
    method = registry.method(settings.method)
    for step in settings.ladder:
        method.check(step, patches)
    points: list[dict[str, Any]] = [
        {
            "method": settings.method,
            "fields": dict(registry.row(settings.method).fields),
            "tokens": step,
            "each": settings.each,
        }
        for step in settings.ladder
    ]
    found = results.compute_each(
        "adaptive_budget",
        points,
        partial(_measure, settings.model, settings.questions),
        uses=lambda point: {registry.row(point["method"]).module},
        **identified(settings),
    )
    tables = [
        results.predictions(table).assign(tokens=step)
        for step, table in zip(settings.ladder, found, strict=True)
    ]
    return pd.concat(tables, ignore_index=True)


def _measure(model: str, source: str, points: Sequence[Mapping[str, Any]]) -> list[Any]:
    from vzlib.evaluation.evaluate import Way, evaluate
    from vzlib.models import load

    method = registry.method(points[0]["method"])
    ways = [Way(str(number), method, point["tokens"]) for number, point in enumerate(points)]
    asked = questions.read(source, points[0]["each"])
    answers = evaluate(load.loaded(model), ways, asked, remember=True)
    own = [answers[answers["way"] == way.name].drop(columns="way") for way in ways]
    return [(by_task(rows), rows) for rows in own]
