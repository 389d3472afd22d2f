"""How many questions a model answers right under a method and a budget."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from vzlib import scenes
from vzlib.experiments.evaluation import Way, before, cls_token, evaluate, patches
from vzlib.experiments.questions import of_scenes
from vzlib.models.load import Loaded
from vzlib.tokens import BudgetError


def answers(
    loaded: Loaded,
    points: Sequence[tuple[str, int]],
    *,
    each: int,
    split: scenes.Split = "test",
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """One row per method, budget and question about scenes: was it answered right?

    points: (method, tokens retained), of reductions before the language model.
    each: questions per task; one question of a task per scene, so that they are independent.
    seed: of the random choices of the methods; the questions are the same for every seed.

    Columns: method, retained, task, image, question, answer, right. Raises ValueError for an
    unknown method and BudgetError for an impossible budget, before any scene is made.
    """
    count, cls = patches(loaded), cls_token(loaded)
    ways = []
    for number, (name, retain) in enumerate(points):
        if not 1 <= retain <= count:
            raise BudgetError(f"retain={retain} must be between 1 and {count} patches")
        ways.append(Way(str(number), before(name, retain, cls)))
    rows = evaluate(loaded, ways, of_scenes(each, split), seed=seed, progress=progress)
    point = rows.pop("way").astype(int)
    rows.insert(0, "method", [points[number][0] for number in point])
    rows.insert(1, "retained", [points[number][1] for number in point])
    rows["right"] = rows["score"] == 1
    return rows.drop(columns=["score", "at_input", "average"])


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy in percent per method, budget and task, and their mean over tasks.

    Columns: method, retained, task, n, value, low, high (95 % Wilson interval; for the task "mean"
    normal, from the tasks' variances), majority (percent right if always the commonest answer).
    """
    found = []
    for (name, retained), group in rows.groupby(["method", "retained"], sort=False):
        tasks = []
        for task, own in group.groupby("task", sort=False):
            n, right = len(own), int(own["right"].sum())
            interval = binomtest(right, n).proportion_ci(method="wilson")
            majority = own["answer"].value_counts().iloc[0] / n
            tasks.append((task, n, right / n, interval.low, interval.high, majority))
        share = np.array([t[2] for t in tasks])
        error = float(np.sqrt(sum(t[2] * (1 - t[2]) / t[1] for t in tasks))) / len(tasks)
        mean, majority = float(share.mean()), float(np.mean([t[5] for t in tasks]))
        half = 1.96 * error
        tasks.append(("mean", len(group), mean, mean - half, mean + half, majority))
        found += [(name, retained, t[0], t[1], *(100 * x for x in t[2:])) for t in tasks]
    columns = ["method", "retained", "task", "n", "value", "low", "high", "majority"]
    return pd.DataFrame(found, columns=columns)


class Difference(NamedTuple):
    """Points by which one method is better, mean over tasks, with its 95 % interval."""

    value: float
    low: float
    high: float


def difference(rows: pd.DataFrame, one: str, other: str, retained: int) -> Difference:
    """Mean over tasks of the paired difference of two methods on the same questions.

    Raises ValueError if they did not answer the same questions.
    """
    own = rows[rows["retained"] == retained].set_index(["task", "image", "question"])
    a, b = (own.loc[own["method"] == name, "right"].astype(float) for name in (one, other))
    if len(a) == 0 or not a.index.equals(b.index):
        raise ValueError(f"{one} and {other} at {retained} tokens need the same questions")
    tasks = 100 * (a - b).groupby("task").agg(["mean", "sem"])
    value, half = tasks["mean"].mean(), 1.96 * (tasks["sem"] ** 2).sum() ** 0.5 / len(tasks)
    return Difference(value, value - half, value + half)
