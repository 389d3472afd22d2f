"""Tables 11 and 17: a language model trained with VisionZip's tokens, against all tokens.

Projector and language model train, the tower is frozen. The language model starts from the model's
own, shrunk towards fresh random weights (Ash and Adams, On Warm-Starting Neural Network Training,
2020): it has to learn again to read images, and does so in minutes instead of hours.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from vzlib import results
from vzlib.evaluation import questions
from vzlib.evaluation.shape import shape_of
from vzlib.experiments.answers import identified
from vzlib.experiments.training_stage.settings import TrainingStage
from vzlib.methods import registry

ZIPPED, ALL = "visionzip", "vanilla"
STEPS, TIME = "steps", "time"  # what two trainings have in common


class Arm(NamedTuple):
    """One training: with how many visual tokens, for how many steps, from which seed.

    same: what it has in common with the training with all tokens.
    """

    tokens: int
    steps: int
    seed: int
    same: str


def check(settings: TrainingStage) -> int:
    """The patches of the model; loads no weights.

    Raises one ValueError for all budgets that the model does not have and all that is wrong with
    the questions.
    """
    patches = shape_of(settings.model).visual
    wrong = [
        f"budget {budget} must be below {patches}, the patches that {settings.model} has"
        for budget in settings.budgets
        if budget >= patches
    ]
    questions.refuse("the settings", [*wrong, *questions.problems(settings.questions)])
    return patches


def measure(settings: TrainingStage) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The course of every training, and the answers behind it; stored training by training.

    A training that was killed goes on. First come those of equally many steps, then those that may
    take as long as with all tokens: as many steps more as theirs are shorter.

    Courses have the columns trained_with (tokens), same ("steps" or "time"), seed and those of
    `vzlib.training.tuning.train_parts`. Answers
    have trained_with, same, seed, budget (tokens asked with; those trained with, and for a training
    with all tokens every budget), and those of `vzlib.evaluation.evaluate.evaluate` without way.
    Raises ValueError as `check` does, before any model is loaded.
    """
    patches = check(settings)
    known = identified(settings)
    arms = [
        Arm(tokens, settings.steps, seed, STEPS)
        for seed in dict.fromkeys(settings.seeds)
        for tokens in (patches, *dict.fromkeys(settings.budgets))
    ]
    found = [(arm, _stored(settings, arm, known)) for arm in arms]
    if settings.same_time:
        for tokens in dict.fromkeys(settings.budgets):
            steps = round(settings.steps * times_as_fast(found, patches, tokens))
            for seed in dict.fromkeys(settings.seeds):
                arm = Arm(tokens, max(steps, 1), seed, TIME)
                found.append((arm, _stored(settings, arm, known)))
    courses, answers = [], []
    for arm, table in found:
        named: Any = {"trained_with": arm.tokens, "same": arm.same, "seed": arm.seed}
        courses.append(table.assign(**named))
        answers.append(results.predictions(table).assign(**named))
    return pd.concat(courses, ignore_index=True), pd.concat(answers, ignore_index=True)


def courses(settings: TrainingStage) -> pd.DataFrame:
    """The first of what `measure` returns."""
    return measure(settings)[0]


def answers(settings: TrainingStage) -> pd.DataFrame:
    """The second of what `measure` returns."""
    return measure(settings)[1]


def times_as_fast(found: list[tuple[Arm, pd.DataFrame]], patches: int, tokens: int) -> float:
    """How many steps with `tokens` take as long as one with all, by the medians of all seeds."""
    medians = [
        np.median(np.concatenate([_seconds(table) for arm, table in found if arm.tokens == count]))
        for count in (patches, tokens)
    ]
    return float(medians[0] / medians[1])


def _seconds(course: pd.DataFrame) -> np.ndarray:
    """Of every step but the first: of the processor on a CPU, else on the clock."""
    clock = "cpu_seconds" if course["device"].iloc[0] == "cpu" else "seconds"
    steps: np.ndarray = course[clock].diff().dropna().to_numpy()
    return steps


def memory(settings: TrainingStage) -> pd.DataFrame:
    """Most bytes at a time in one step of training, gradients and optimiser included.

    Columns: trained_with, bytes (beyond the weights). Raises ValueError as `check` does.
    """
    patches = check(settings)
    return results.compute(
        "training_memory",
        {
            "tokens": [patches, *dict.fromkeys(settings.budgets)],
            **settings.model_dump(include={"asked", "batch"}),
        },
        partial(_memory, settings.model, settings.questions),
        uses=_modules(),
        **identified(settings),
    )


def _modules() -> list[str]:
    return [registry.row(name).module for name in (ZIPPED, ALL)]


def _stored(settings: TrainingStage, arm: Arm, known: Mapping[str, Any]) -> pd.DataFrame:
    patches = shape_of(settings.model).visual
    every = [patches, *dict.fromkeys(settings.budgets)]
    point = {
        "tokens": arm.tokens,
        "steps": arm.steps,
        "seed": arm.seed,
        "asked_with": every if arm.tokens == patches else [arm.tokens],
        **settings.model_dump(include={"each", "remembered", "images", "asked", "rate", "batch"}),
    }
    return results.compute(
        "training_stage",
        point,
        partial(_train, settings.model, settings.questions),
        uses=_modules(),
        **known,
    )


def _train(model: str, source: str, point: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    from vzlib.evaluation.evaluate import evaluate
    from vzlib.models import load
    from vzlib.models.checkpoint import identity
    from vzlib.training import tuning

    loaded = load.load(model)  # its own, as it is changed
    told = f"{identity(model)} {source} {sorted(point.items())}"
    course = _trained(loaded, source, point, tuning.state_folder(told))
    ways = [_way(loaded, budget) for budget in point["asked_with"]]
    rows = evaluate(loaded, ways, questions.read(source, point["each"]), remember=True)
    answered = rows.assign(budget=rows["way"].astype(int)).drop(columns="way")
    return course, answered


def _way(loaded: Any, tokens: int) -> Any:
    from vzlib.evaluation.evaluate import Way

    return Way(str(tokens), registry.method(ALL if tokens == loaded.patches else ZIPPED), tokens)


def _trained(loaded: Any, source: str, point: Mapping[str, Any], folder: Any) -> pd.DataFrame:
    from vzlib.training import kept, start, tuning
    from vzlib.training.examples import training_questions

    asked = training_questions(source, point["images"], point["asked"], loaded.processor.tokenizer)
    parts = start.language_parts(loaded.model)
    start.shrink(loaded.model, parts, point["remembered"], point["seed"])
    way = _way(loaded, point["tokens"])
    return tuning.train_parts(
        loaded,
        parts,
        asked,
        way=way.before,
        retain=way.retain,
        course=tuning.Course(point["rate"], point["batch"], point["steps"], point["seed"]),
        folder=folder,
        tokens=kept.kept_tokens(loaded, way.before, way.retain, asked),
    )


def _memory(model: str, source: str, point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.efficiency.memory import peak
    from vzlib.models import load
    from vzlib.models.checkpoint import identity
    from vzlib.training import tuning

    rows = []
    one = {"images": point["batch"], "steps": 1, "seed": 0, "rate": 1e-4, "remembered": 1.0}
    for tokens in point["tokens"]:
        loaded = load.load(model)
        own = {**point, **one, "tokens": tokens}
        folder = tuning.state_folder(f"memory {identity(model)} {source} {sorted(own.items())}")
        run = partial(_trained, loaded, source, own, folder)
        rows.append((tokens, peak(run, loaded.model.device)))
    return pd.DataFrame(rows, columns=["trained_with", "bytes"])
