"""Tables 6 and 16: the same questions with all visual tokens and with fewer, at several precisions.

The dtype and the quantisation are part of the identity of the model, and so of every key.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from vzlib import results
from vzlib.evaluation import questions
from vzlib.evaluation.shape import shape_of
from vzlib.experiments.answers import by_task
from vzlib.experiments.quantisation.precisions import checkpoint_at, known
from vzlib.experiments.quantisation.settings import Quantisation
from vzlib.methods import registry

VANILLA = "vanilla"


def plan(settings: Quantisation) -> list[dict[str, Any]]:
    """All tokens and every method; loads no weights.

    Raises ValueError for a retain that is no fewer than the tokens that there are or that a method
    cannot spend, for questions that there are not, and for a precision that cannot run here.
    """
    visual = shape_of(settings.model).visual
    wrong = []
    if settings.retain >= visual:
        wrong.append(f"retain={settings.retain} must be below the {visual} patches of the model")
    questions.refuse("the settings", [*wrong, *questions.problems(settings.questions)])
    for name in settings.methods:
        registry.method(name).check(settings.retain, visual)
    for precision in settings.precisions:
        checkpoint_at(settings.model, precision)
    spent = [(VANILLA, visual), *((name, settings.retain) for name in settings.methods)]
    return [
        {"method": name, "fields": dict(registry.row(name).fields), "tokens": tokens,
         "each": settings.each}
        for name, tokens in spent
    ]  # fmt: skip


def measure(settings: Quantisation) -> pd.DataFrame:
    """Every question with all tokens and with each method, stored precision by precision.

    Columns: precision, method, and those of `vzlib.evaluation.evaluate.evaluate` without way.
    Raises ValueError as `plan` does, before a model is loaded.
    """
    points, tables = plan(settings), []
    for precision in settings.precisions:
        wanted = [{**point, "precision": precision} for point in points]
        found = results.compute_each(
            "quantisation",
            wanted,
            partial(_measure, settings.model, settings.questions),
            uses=_modules,
            **known(settings, precision),
        )
        for point, table in zip(wanted, found, strict=True):
            named = {"precision": precision, "method": point["method"]}
            tables.append(results.predictions(table).assign(**named))
    return pd.concat(tables, ignore_index=True)


def _modules(point: Mapping[str, Any]) -> set[str]:
    return {registry.row(name).module for name in (point["method"], VANILLA)}


def _measure(model: str, source: str, points: Sequence[Mapping[str, Any]]) -> list[Any]:
    from vzlib.evaluation.evaluate import Way, evaluate
    from vzlib.experiments.quantisation.precisions import load_at

    loaded = load_at(model, points[0]["precision"])
    ways = [
        Way(str(number), registry.method(point["method"]), point["tokens"])
        for number, point in enumerate(points)
    ]
    answers = evaluate(loaded, ways, questions.read(source, points[0]["each"]))
    own = [answers[answers["way"] == way.name].drop(columns="way") for way in ways]
    return [(by_task(rows), rows) for rows in own]
