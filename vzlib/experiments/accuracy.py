"""How many questions a model answers right under a method and a budget."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.stats import binomtest
from tqdm import tqdm

from vzlib import scenes
from vzlib.baselines import method
from vzlib.models.shared_prefix import answered_right
from vzlib.models.towers import encode, has_cls, token_count

BATCH = 16


def answers(
    model: Any,
    processor: Any,
    points: Sequence[tuple[str, int]],
    *,
    each: int,
    split: scenes.Split = "test",
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """One row per method, budget and question: was it answered right?

    points: (method, tokens retained). The tower runs once per scene for all of them.
    each: questions per task; one question of a task per scene, so that they are independent.
    seed: of the random choices of the methods; the questions are the same for every seed.

    Columns: method, retained, task, scene, question, answer, right. Raises ValueError for an
    unknown method and BudgetError for an impossible budget, before any scene is made.
    """
    tower = model.model.vision_tower
    with_cls = has_cls(tower)
    patches = token_count(tower) - with_cls
    for name, retain in points:
        method(name)
        if not 1 <= retain <= patches:
            raise ValueError(f"retain={retain} must be between 1 and {patches} patches")
    rows = []
    for batch in tqdm(list(_batches(each, split)), desc="scenes", disable=not progress):
        images = [scene.image for scene, _ in batch]
        pixels = processor.image_processor(images=images, return_tensors="pt")["pixel_values"]
        layer = model.config.vision_feature_layer
        with torch.no_grad():
            encoded = encode(tower, pixels.to(model.device, model.dtype), layer=layer)
        asked = [[(q.text, q.answer) for q in questions] for _, questions in batch]
        for name, retain in points:
            number = seed * 1_000_003 + batch[0][0].index
            with torch.no_grad():
                tokens = method(name)(encoded, retain, has_cls=with_cls, seed=number)
                visual = model.model.multi_modal_projector(tokens)
            verdicts = answered_right(model, processor, visual, asked)
            for (scene, questions), verdict in zip(batch, verdicts, strict=True):
                rows += [
                    (name, retain, q.task, scene.index, q.text, q.answer, right)
                    for q, right in zip(questions, verdict, strict=True)
                ]
    columns = ["method", "retained", "task", "scene", "question", "answer", "right"]
    return pd.DataFrame(rows, columns=columns)


def _batches(
    each: int, split: scenes.Split
) -> Iterator[list[tuple[scenes.Scene, list[scenes.Question]]]]:
    """Scenes with the questions still wanted, until every task has `each`."""
    wanted = dict.fromkeys(scenes.TASKS, each)
    batch, index = [], 0
    while any(wanted.values()):
        scene = scenes.make(index, split)
        questions = [q for q in scenes.ask(scene) if wanted[q.task]]
        index += 1
        for question in questions:
            wanted[question.task] -= 1
        if questions:
            batch.append((scene, questions))
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


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
    own = rows[rows["retained"] == retained].set_index(["task", "scene", "question"])
    a, b = (own.loc[own["method"] == name, "right"].astype(float) for name in (one, other))
    if len(a) == 0 or not a.index.equals(b.index):
        raise ValueError(f"{one} and {other} at {retained} tokens need the same questions")
    tasks = 100 * (a - b).groupby("task").agg(["mean", "sem"])
    value, half = tasks["mean"].mean(), 1.96 * (tasks["sem"] ** 2).sum() ** 0.5 / len(tasks)
    return Difference(value, value - half, value + half)
