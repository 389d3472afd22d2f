"""Accuracy with intervals, and paired differences between ways on the same questions.

An accuracy is the mean over tasks of the share (or mean score) within each, so that a task with
many questions weighs no more than one with few. Questions about one image resemble each other, so
intervals over several tasks treat the image as the unit that was drawn.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest, norm

from vzlib.statistics.intervals import Interval

QUESTION = ["task", "image", "question"]
MEAN = "mean"  # the name under which the mean over tasks stands among the tasks
Z = float(norm.ppf(0.975))


class Difference(NamedTuple):
    """Percentage points by which one way is better, mean over tasks, with its 95 % interval.

    p: two-sided, of no difference. n: questions.
    """

    value: float
    low: float
    high: float
    p: float
    n: int


def summary(rows: pd.DataFrame, by: str | Sequence[str] = "way") -> pd.DataFrame:
    """Accuracy in percent per task, and the mean over tasks.

    rows: of `vzlib.evaluation.evaluate.evaluate`. by: the columns that tell ways apart.

    Columns: those of `by`, task, n, value, low, high (95 %; within a task of right and wrong
    answers the Wilson interval, else normal with images as units), majority (percent right if
    always the commonest answer).
    """
    by = [by] if isinstance(by, str) else list(by)
    found = []
    for name, group in rows.groupby(by, sort=False):
        tasks = [(task, *_accuracy(own)) for task, own in group.groupby("task", sort=False)]
        value = float(np.mean([task[2] for task in tasks]))
        half = Z * _error(group)
        mean = (MEAN, len(group), value, value - half, value + half)
        majority = float(np.mean([task[5] for task in tasks]))
        found += [(*name, *task) for task in (*tasks, (*mean, majority))]
    columns = [*by, "task", "n", "value", "low", "high", "majority"]
    return pd.DataFrame(found, columns=columns)


def _accuracy(rows: pd.DataFrame) -> tuple[int, float, float, float, float]:
    n, score = len(rows), rows["score"]
    majority = 100 * rows["answer"].value_counts().iloc[0] / n
    if score.isin((0, 1)).all():
        interval = binomtest(int(score.sum()), n).proportion_ci(method="wilson")
        return n, 100 * score.mean(), 100 * interval.low, 100 * interval.high, majority
    value, half = 100 * score.mean(), Z * _error(rows)
    return n, value, value - half, value + half, majority


def paired_difference(rows: pd.DataFrame, one: Any, other: Any, by: str = "way") -> Difference:
    """Mean over tasks of `one` minus `other`, in percentage points, on the same questions.

    rows: of `evaluate`; a question asked several times (with several seeds) counts once, with its
        mean score. by: the column that holds `one` and `other`.

    Raises ValueError if they did not answer the same questions.
    """
    wide = _paired(rows, one, other, by)
    gain = (wide[one] - wide[other]).rename("score").reset_index()
    value = 100 * float(gain.groupby("task")["score"].mean().mean())
    error = _error(gain)
    # Without error every question went alike: nothing was lost or gained, or the same everywhere.
    p = 2 * float(norm.sf(abs(value) / error)) if error else float(value == 0)
    return Difference(value, value - Z * error, value + Z * error, p, len(gain))


def percent_of(rows: pd.DataFrame, one: Any, other: Any, by: str = "way") -> Interval:
    """What `one` keeps of `other`: mean over tasks of the ratio of their accuracies, in percent.

    rows, by: as for `paired_difference`. The interval is a bootstrap over images. NaN if `other`
        has no right answer in a task: there is nothing to keep. Raises as `paired_difference`.
    """
    wide = _paired(rows, one, other, by)
    images, place = np.unique(wide.index.get_level_values("image"), return_inverse=True)
    generator = np.random.default_rng(0)
    even = np.full(len(images), 1 / len(images))
    times = generator.multinomial(len(images), even, size=1000)
    times = np.vstack([np.ones(len(images), dtype=int), times])  # first, what was measured
    tasks = wide.index.get_level_values("task")
    percent = np.zeros(len(times))
    for task in tasks.unique():
        own = tasks == task
        weight = times[:, place[own]]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (weight @ wide.loc[own, one].to_numpy()) / (
                weight @ wide.loc[own, other].to_numpy()
            )
        percent += 100 * np.where(np.isfinite(ratio), ratio, np.nan) / tasks.nunique()
    if np.isnan(percent[0]):
        return Interval(*[float("nan")] * 3)
    return Interval(float(percent[0]), *map(float, np.nanpercentile(percent[1:], (2.5, 97.5))))


def _paired(rows: pd.DataFrame, one: Any, other: Any, by: str) -> pd.DataFrame:
    """Scores of the two, a column each, indexed by QUESTION."""
    wide = rows[rows[by].isin([one, other])].pivot_table("score", QUESTION, by, aggfunc="mean")
    if {one, other} - set(wide.columns) or wide.isna().any(axis=None):
        raise ValueError(f"{one} and {other} need the same questions")
    return wide


def _error(rows: pd.DataFrame) -> float:
    """Standard error in percent of the mean over tasks of `score`, images drawn independently."""
    by_task = rows.groupby("task")["score"]
    weight = 1 / (by_task.transform("size") * rows["task"].nunique())
    by_image = (weight * (rows["score"] - by_task.transform("mean"))).groupby(rows["image"]).sum()
    units = len(by_image)
    if units < 2:
        return float("nan")
    return 100 * float(np.sqrt((by_image**2).sum() * units / (units - 1)))


def holm(p: np.ndarray) -> np.ndarray:
    """P values `[N]` corrected for N comparisons (Holm, 1979): valid whatever their dependence."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(steps, 1)
    return corrected
