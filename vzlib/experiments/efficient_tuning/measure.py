"""The ‡ rows and Table 15: what tuning the projector alone for fewer tokens gives back.

Each tuned projector is an artifact of the store, "projector-64" if it was tuned on the data that
match and "projector-64-things" if on others, and loads by name: "pico+projector-64".
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from vzlib import results
from vzlib.evaluation import questions
from vzlib.evaluation.shape import shape_of
from vzlib.experiments.answers import by_task, identified
from vzlib.experiments.efficient_tuning.settings import EfficientTuning
from vzlib.methods import registry
from vzlib.models.checkpoint import identity, keyed
from vzlib.models.tuned import EXPERIMENT, FILE, apart

UNTUNED = "nothing"  # what the model's own projector was tuned on
ZIPPED, ALL = "visionzip", "vanilla"


class Tuning(NamedTuple):
    """A projector to be tuned: on which data, for how many tokens, what it is called."""

    data: str
    budget: int
    name: str


def plan(settings: EfficientTuning) -> list[Tuning]:
    """Every tuning; loads no weights.

    Raises one ValueError for all budgets that the model does not have, and all that is wrong with
    questions to tune on or to ask; and for a model that is tuned already.
    """
    patches = shape_of(settings.model).visual
    wrong = [
        f"budget {budget} must be below {patches}, the patches that {settings.model} has"
        for budget in settings.budgets
        if budget >= patches
    ]
    sources = (settings.questions, *settings.others)
    wrong += [text for source in sources for text in questions.problems(source)]
    if apart(settings.model)[1]:
        wrong.append(f"model {settings.model} is tuned already; name the model itself")
    questions.refuse("the settings", wrong)
    return [
        Tuning(data, budget, _name(budget, None if data == settings.questions else data))
        for data in dict.fromkeys(sources)
        for budget in dict.fromkeys(settings.budgets)
    ]


def _name(budget: int, other: str | None) -> str:
    """What a projector is called; of a file of questions its stem."""
    suffix = "" if other is None else f"-{other.rpartition('/')[2].partition('.')[0]}"
    return f"projector-{budget}{suffix}"


def tune(settings: EfficientTuning) -> pd.DataFrame:
    """Tunes every projector, stored one by one; one that was killed goes on.

    Columns: data (tuned on), budget, name, images, questions (of them), and those of
    `vzlib.training.tuning.train_parts`.
    Raises ValueError as `plan` does, before any model is loaded.
    """
    return pd.concat([table for _, table in _tuned(settings)], ignore_index=True)


def measure(settings: EfficientTuning) -> pd.DataFrame:
    """Answers with the model's own projector and with every tuned one.

    With its own: all tokens, and every budget. With a tuned one: the budget that it was tuned for
    and, if that was on the data that match, all tokens. Columns: data ("nothing" for its own),
    tuned_for (tokens; 0 for its own), budget (tokens that are left), and those of
    `vzlib.evaluation.evaluate.evaluate` without way.
    Raises ValueError as `plan` does, before any model is loaded.
    """
    plan(settings)
    patches = shape_of(settings.model).visual
    known = identified(settings)
    found = []
    budgets: tuple[int, ...] = (patches, *dict.fromkeys(settings.budgets))
    tables = _answers(settings, settings.model, budgets, known)
    for budget, table in zip(budgets, tables, strict=True):
        found.append(table.assign(data=UNTUNED, tuned_for=0, budget=budget))
    for tuning, curve in _tuned(settings):
        model = f"{settings.model}+{results.file(curve, FILE)}"
        own = known | keyed(model)
        own["about"] = known["about"] | {"model": f"{settings.model}+{tuning.name}"}
        matches = tuning.data == settings.questions
        budgets = (patches, tuning.budget) if matches else (tuning.budget,)
        tables = _answers(settings, model, budgets, own)
        for budget, table in zip(budgets, tables, strict=True):
            found.append(table.assign(data=tuning.data, tuned_for=tuning.budget, budget=budget))
    return pd.concat(found, ignore_index=True)


def _tuned(settings: EfficientTuning) -> Iterator[tuple[Tuning, pd.DataFrame]]:
    chosen = settings.model_dump(include={"images", "asked", "rate", "batch", "seed"})
    known = keyed(settings.model)
    for tuning in plan(settings):
        table = results.compute(
            EXPERIMENT,
            {"budget": tuning.budget, **chosen},
            partial(_tune, settings.model, tuning.data),
            uses=[registry.row(ZIPPED).module],
            **known,
            data_version=f"to train on: {questions.version(tuning.data)}",
            about={
                "model": settings.model,
                "questions": tuning.data,
                "artifact": tuning.name,
                "made_from": settings.images,
            },
        )
        labelled = table.assign(data=tuning.data, budget=tuning.budget, name=tuning.name)
        labelled.attrs = table.attrs
        yield tuning, labelled


def _tune(model: str, source: str, point: Mapping[str, Any]) -> tuple[pd.DataFrame, dict[str, Any]]:
    from vzlib.models import load, projector
    from vzlib.models.host import host_of
    from vzlib.training import kept, tuning
    from vzlib.training.examples import training_questions

    loaded = load.load(model)  # its own, as it is changed
    asked = training_questions(source, point["images"], point["asked"], loaded.processor.tokenizer)
    way, retain = registry.method(ZIPPED), point["budget"]
    whole = host_of(loaded.model).VIEWS
    tokens = None if whole else kept.kept_tokens(loaded, way, retain, asked)
    part = host_of(loaded.model).projector(loaded.model.base_model)
    course = tuning.Course(
        point["rate"], point["batch"], point["images"] // point["batch"], point["seed"]
    )
    told = f"{identity(model)} {source} {sorted(point.items())}"
    curve = tuning.train_parts(
        loaded,
        {"projector": part},
        asked,
        way=way,
        retain=retain,
        course=course,
        folder=tuning.state_folder(told),
        tokens=tokens,
    )
    count = sum(len(one.questions) for one in asked)
    return curve.assign(images=len(asked), questions=count), {FILE: projector.kept(part)}


def _answers(
    settings: EfficientTuning, model: str, budgets: tuple[int, ...], known: Mapping[str, Any]
) -> list[pd.DataFrame]:
    points = [{"budget": budget, "each": settings.each} for budget in budgets]
    tables = results.compute_each(
        "efficient_tuning",
        points,
        partial(_measure, model, settings.questions),
        uses=lambda point: [registry.row(name).module for name in (ZIPPED, ALL)],
        **known,
    )
    return [results.predictions(table) for table in tables]


def _measure(model: str, source: str, points: list[Mapping[str, Any]]) -> list[Any]:
    from vzlib.evaluation.evaluate import Way, evaluate
    from vzlib.models import load

    loaded = load.loaded(model)
    ways = []
    for point in points:
        budget = point["budget"]
        method = registry.method(ALL if budget == loaded.patches else ZIPPED)
        ways.append(Way(str(budget), method, budget))
    asked = questions.read(source, points[0]["each"])
    rows = evaluate(loaded, ways, asked, remember=True)
    answers = [rows[rows["way"] == way.name].drop(columns="way") for way in ways]
    return [(by_task(one), one) for one in answers]
