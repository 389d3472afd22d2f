"""Does the text choose? The same selection as the baseline's, asked the question of another image.

If as many of the kept tokens are dominant, and as many cover the thing asked about, whatever is
asked, then it is not what is asked that chooses them.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from vzlib import results
from vzlib.evaluation import questions
from vzlib.evaluation.questions import Asked, Question
from vzlib.experiments.answers import identified
from vzlib.experiments.misalignment_ablation.measure import counts, ranked, traced
from vzlib.experiments.misalignment_ablation.settings import MisalignmentAblation

COLUMNS = ["selector", "task", "image", "question", "dominant", "chance", "covered"]


def measure(settings: MisalignmentAblation) -> pd.DataFrame:
    """What every selector keeps for a question of the same task about another image, stored.

    Columns: those of COLUMNS, as in `misalignment_ablation.measure`; question is the image's own,
    whose objects `covered` counts. A task asked about one image only is left out. Raises
    ValueError as `misalignment_ablation.measure` does.
    """
    questions.check(settings.questions)
    chosen, known = counts(settings), identified(settings)
    tables = []
    for selector in dict.fromkeys(settings.selectors):
        table = results.compute(
            "permuted_questions",
            {"selector": selector, "seed": settings.seeds[0], "each": settings.each, **chosen},
            partial(_measure, settings.model, settings.questions),
            **known,
        )
        tables.append(results.predictions(table).assign(selector=selector))
    return pd.concat(tables, ignore_index=True)[COLUMNS]


def permuted(asked: Sequence[Asked]) -> list[Asked]:
    """Every question in the words of the next one of its task about another image."""
    by_task: dict[str, list[tuple[str, Question]]] = {}
    for one in asked:
        for question in one.questions:
            by_task.setdefault(question.task, []).append((one.name, question))
    places = dict.fromkeys(by_task, 0)
    found = []
    for one in asked:
        own = []
        for question in one.questions:
            line = by_task[question.task]
            places[question.task] += 1
            behind = [*line[places[question.task] :], *line[: places[question.task]]]
            other = next((other for name, other in behind if name != one.name), None)
            if other is not None:
                asked_instead = other._replace(objects=question.objects, id=question.text)
                own.append(asked_instead._replace(scoring="verbatim"))  # nothing is generated
        if own:
            found.append(one._replace(questions=tuple(own)))
    return found


def _measure(model: str, source: str, point: Mapping[str, Any]) -> tuple[Any, Any]:
    from vzlib.evaluation.evaluate import Way, judged
    from vzlib.evaluation.shape import shape_of
    from vzlib.experiments.misalignment_ablation.conditions import inside, offer
    from vzlib.models import load

    loaded, whole = load.loaded(model), shape_of(model)
    sizes = {name: point[name] for name in ("removed", "offered", "kept")}
    method, visual = offer("baseline", patches=whole.visual, **sizes)
    selects = inside(point["selector"], point["kept"], visual, whole)
    asked = permuted(list(questions.read(source, point["each"])))
    way, rows = Way(point["selector"], method, visual, selects), list[tuple[Any, ...]]()
    cls = int(loaded.has_cls)
    for images, encoded, (verdicts,) in judged(
        loaded, [way], asked, seed=point["seed"], remember=True
    ):
        for image, own, dominant in zip(
            images, verdicts, ranked(encoded, point["kept"], cls), strict=True
        ):
            told = traced(image, own, dominant, cls, whole.visual)
            for question, (task, name, *_, share, chance, covered) in zip(
                image.questions, told, strict=True
            ):
                rows.append((task, name, question.id, share, chance, covered))
    table = pd.DataFrame(rows, columns=COLUMNS[1:])
    return table.groupby("task", sort=False).size().reset_index(name="n"), table
