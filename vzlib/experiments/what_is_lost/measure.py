"""Every answer with all tokens and with fewer, and how much of what was asked about was kept."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from vzlib import results
from vzlib.evaluation import questions
from vzlib.evaluation.shape import shape_of
from vzlib.experiments.answers import identified
from vzlib.experiments.what_is_lost.asked_things import kept_share
from vzlib.experiments.what_is_lost.settings import WhatIsLost
from vzlib.methods import registry

VANILLA = "vanilla"
COLUMNS = ["task", "image", "question", "answer", "score", "kept"]


def measure(settings: WhatIsLost) -> pd.DataFrame:
    """Answers of every method at every budget, stored budget by budget, vanilla among them.

    Columns: method, budget, task, image, question, answer, score, kept (share of the patches of
    the things asked about on which a token stands that the language model is given, the mean over
    these things; what merged stands where its target stood; missing where a question is about
    nothing that is there, or no scene is known).
    Raises one ValueError for all that is wrong with the questions, the budgets and what the methods
    cannot spend, before a model is loaded.
    """
    patches = shape_of(settings.model).visual
    wrong = [f"budget {budget} must be below {patches}, the patches that {settings.model} has"
             for budget in settings.budgets if budget >= patches]  # fmt: skip
    questions.refuse("the settings", [*wrong, *questions.problems(settings.questions)])
    for name in settings.methods:
        for budget in settings.budgets:
            registry.method(name).check(budget, patches)
    known, tables = identified(settings), []
    asked: dict[int, tuple[str, ...]] = {patches: (VANILLA,)}
    asked |= dict.fromkeys(settings.budgets, tuple(dict.fromkeys(settings.methods)))
    for budget, names in asked.items():
        points: list[dict[str, Any]] = [
            {
                "method": name,
                "fields": dict(registry.row(name).fields),
                "budget": budget,
                "each": settings.each,
                "seed": settings.seed if registry.row(name).draws else 0,
            }
            for name in names
        ]
        found = results.compute_each(
            "what_is_lost",
            points,
            partial(_measure, settings.model, settings.questions),
            uses=lambda point: {registry.row(point["method"]).module},
            **known,
        )
        tables += [table.assign(method=point["method"], budget=budget)
                   for point, table in zip(points, found, strict=True)]  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def _measure(model: str, source: str, points: Sequence[Mapping[str, Any]]) -> list[pd.DataFrame]:
    """Points of one budget."""
    from vzlib.evaluation.evaluate import Way, judged
    from vzlib.models import load

    loaded = load.loaded(model)
    cls, tables = int(loaded.has_cls), dict[int, pd.DataFrame]()
    for seed in dict.fromkeys(point["seed"] for point in points):
        own = [number for number, point in enumerate(points) if point["seed"] == seed]
        ways = [Way(str(n), registry.method(points[n]["method"]), points[n]["budget"]) for n in own]
        rows: list[list[tuple[Any, ...]]] = [[] for _ in own]
        asked = questions.read(source, points[0]["each"])
        for images, encoded, verdicts in judged(loaded, ways, asked, seed=seed, remember=True):
            patches = encoded.hidden.shape[1] - cls
            for found, by_image in zip(rows, verdicts, strict=True):
                for one, of_image in zip(images, by_image, strict=True):
                    for question, verdict in zip(one.questions, of_image, strict=True):
                        assert verdict.places is not None
                        places = verdict.places[0].cpu().numpy() - cls
                        kept = kept_share(one.scene, question.objects, places, patches)
                        told = (question.task, one.name, question.text, question.answers[0])
                        found.append((*told, verdict.score, kept))
        tables |= {n: pd.DataFrame(found, columns=COLUMNS)
                   for n, found in zip(own, rows, strict=True)}  # fmt: skip
    return [tables[number] for number in range(len(points))]
