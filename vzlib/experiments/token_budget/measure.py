"""Accuracy against visual tokens, every method on the same questions (Tables 1 and 10, Figure 4).

Methods before the language model spend the same number of tokens in every layer; methods inside it
spend more at first. They are compared at the same average over layers (the field's "retain 64"), or
with the same number of tokens left in the last layer.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from vzlib import results
from vzlib.evaluation import questions
from vzlib.evaluation.shape import shape_of
from vzlib.experiments.answers import by_task, identified
from vzlib.experiments.token_budget.settings import TokenBudget
from vzlib.methods import registry

VANILLA = "vanilla"
EQUAL = {"layer average": "inputs", "last layer": "last"}


class Point(NamedTuple):
    """A method at a budget.

    spends: what it gets nearest to the budget, by the count that is equalised; None if far from it.
    """

    method: str
    budget: int
    spends: float | None


def plan(settings: TokenBudget) -> list[Point]:
    """Every method at every budget, and what it can spend; loads no weights.

    A schedule inside the language model cannot go below what its first layers cost.
    Raises one ValueError for all budgets above the tokens that there are or that a method cannot
    spend, all methods with more stages than the model has layers and all that is wrong with the
    questions, and what `identity` raises.
    """
    shape = shape_of(settings.model)
    wrong = [
        f"budget {budget} must be below {shape.visual}, the patches that {settings.model} has"
        for budget in settings.budgets
        if budget >= shape.visual
    ]
    wrong += [text for name in settings.chosen for text in _misfits(name, settings.budgets, shape)]
    questions.refuse("the settings", [*wrong, *questions.problems(settings.questions)])
    points = [Point(VANILLA, shape.visual, float(shape.visual))]
    for budget in dict.fromkeys(settings.budgets):
        for name in dict.fromkeys(settings.chosen):
            spends: float | None = float(budget)
            if _is_inside(name):
                spends = _reachable(name, budget, settings.equalise, shape)
            points.append(Point(name, budget, spends))
    return points


def measure(settings: TokenBudget) -> pd.DataFrame:
    """Answers of every method at every budget it can meet, stored point by point.

    Columns: method, budget, seed, those of `vzlib.evaluation.evaluate.evaluate` without way, and
    gflops (to prefill a prompt of mean length). The budgets are computed one after the other, so
    that a kill loses one at most. Raises ValueError as `plan` does, before any model is loaded.
    """
    points, known = plan(settings), identified(settings)
    tables = []
    for budget in dict.fromkeys(point.budget for point in points):
        wanted: list[dict[str, Any]] = [
            {
                "method": point.method,
                "fields": dict(registry.row(point.method).fields),
                "tokens": point.spends,
                "equalise": settings.equalise if _is_inside(point.method) else None,
                "each": settings.each,
                "seed": seed,
            }
            for point in points
            if point.budget == budget and point.spends is not None
            for seed in (settings.seeds if registry.row(point.method).draws else (0,))
        ]
        found = results.compute_each(
            "token_budget",
            wanted,
            partial(_measure, settings.model, settings.questions),
            uses=_modules,
            **known,
        )
        for point, table in zip(wanted, found, strict=True):
            named = {"method": point["method"], "budget": budget, "seed": point["seed"]}
            cost = table["gflops"].iloc[0]
            tables.append(results.predictions(table).assign(**named, gflops=cost))
    return pd.concat(tables, ignore_index=True)


def _is_inside(method: str) -> bool:
    """Whether it prunes inside the language model."""
    return registry.row(method).place == "inside"


def _modules(point: Mapping[str, Any]) -> set[str]:
    """Whose code a point depends on besides this module's, vanilla being what all start from."""
    return {registry.row(name).module for name in (point["method"], VANILLA)}


def _measure(model: str, source: str, points: Sequence[Mapping[str, Any]]) -> list[Any]:
    from vzlib.evaluation.evaluate import Way, evaluate
    from vzlib.models import load

    loaded = load.loaded(model)
    everything = registry.method(VANILLA)
    ways: dict[int, list[Way]] = {}
    for number, point in enumerate(points):
        name, tokens = point["method"], point["tokens"]
        if _is_inside(name):
            inside = _schedule(name, tokens, point["equalise"], shape_of(model)).method
            way = Way(str(number), everything, loaded.patches, inside)
        else:
            way = Way(str(number), registry.method(name), int(tokens))
        ways.setdefault(point["seed"], []).append(way)
    found: dict[int, Any] = {}
    for seed, own in ways.items():
        asked = questions.read(source, points[0]["each"])
        answers = evaluate(loaded, own, asked, seed=seed, remember=True)
        text = _text_length(loaded.processor, answers["question"])
        for way in own:
            rows = answers[answers["way"] == way.name].drop(columns="way")
            cost = _gflops(loaded.model, text, rows, way.inside)
            found[int(way.name)] = by_task(rows).assign(gflops=cost), rows
    return [found[number] for number in range(len(points))]


def _text_length(processor: Any, texts: pd.Series) -> int:
    """Tokens of a prompt of mean length besides the image."""
    from vzlib.models.answer import prompt

    ids = [processor.tokenizer(prompt(processor, text))["input_ids"] for text in texts.unique()]
    return round(float(np.mean([len(one) - 1 for one in ids])))


def _gflops(model: Any, text: int, rows: pd.DataFrame, inside: Any) -> float:
    from vzlib.methods.accountant import account

    visual = int(rows["at_input"].iloc[0])
    return account(model, text=text, visual=visual, method=inside).flops / 1e9


def schedules(settings: TokenBudget) -> pd.DataFrame:
    """What the methods inside the language model do for every budget, or the nearest they can.

    Columns: method, budget, schedule, average (visual tokens per layer), last (in the last layer),
    measured (is it near enough to the budget to be measured?).
    """
    from vzlib.methods.inside.schedule import visual_by_layer

    shape, found = shape_of(settings.model), []
    for point in plan(settings):
        if _is_inside(point.method):
            nearest = _schedule(point.method, point.budget, settings.equalise, shape).method
            counts = visual_by_layer(nearest.stages(*shape), *shape)
            spent = (float(np.mean(counts)), counts[-1], point.spends is not None)
            found.append((point.method, point.budget, str(nearest), *spent))
    columns = ["method", "budget", "schedule", "average", "last", "measured"]
    return pd.DataFrame(found, columns=columns)


def _schedule(name: str, tokens: float, equalise: str, shape: Any) -> Any:
    """The schedule of a method that is nearest to `tokens`, and what it spends."""
    from vzlib.methods.inside.schedule import OutOfReach

    method: Any = registry.method(name, "inside")
    try:
        return method.for_average(tokens, *shape, counting=EQUAL[equalise])
    except OutOfReach as error:
        return error.nearest


def _misfits(name: str, budgets: Sequence[int], shape: Any) -> Iterator[str]:
    """Why a method inside fits no budget on a model of this shape, or one before not each."""
    from vzlib.tokens import BudgetError

    possible = [budget for budget in dict.fromkeys(budgets) if budget < shape.visual]
    for budget in (shape.visual,) if _is_inside(name) else possible:
        try:
            if _is_inside(name):
                _schedule(name, budget, "layer average", shape)
            else:
                registry.method(name).check(budget, shape.visual)
        except BudgetError as error:
            yield f"method {name}: {error}"


def _reachable(name: str, budget: int, equalise: str, shape: Any) -> float | None:
    """What the nearest schedule spends, if that is within 5 % of the budget."""
    spends = _schedule(name, budget, equalise, shape).average
    return spends if abs(spends - budget) <= 0.05 * budget else None
