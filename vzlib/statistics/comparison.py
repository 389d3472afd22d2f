"""Accuracy with intervals, and paired differences between ways on the same questions.

An accuracy is the mean over tasks of the share (or mean score) within each, so that a task with
many questions weighs no more than one with few. Questions about one image resemble each other, so
intervals treat the image as the unit that was drawn: errors are clustered by image, with Student's
t of as many degrees of freedom as there are images, less one.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from statsmodels.regression.linear_model import OLS

from vzlib.statistics import MEAN
from vzlib.statistics.intervals import NOTHING, Interval

QUESTION = ["task", "image", "question"]


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
        mean = (MEAN, len(group), *_mean_over_tasks(group)[:3])
        majority = float(np.mean([task[5] for task in tasks]))
        found += [(*name, *task) for task in (*tasks, (*mean, majority))]
    columns = [*by, "task", "n", "value", "low", "high", "majority"]
    return pd.DataFrame(found, columns=columns)


def headings(tasks: Iterable[str], taken: Collection[Any]) -> dict[str, str]:
    """A column name for each task, apart from those of a table that are `taken`."""
    tasks, found = list(tasks), dict[str, str]()
    for task in tasks:
        own, others = task, {*taken, *tasks, *found.values()} - {task}
        while own in others or own in taken:
            own += " (task)"
        found[task] = own
    return found


def _accuracy(rows: pd.DataFrame) -> tuple[int, float, float, float, float]:
    n, score = len(rows), rows["score"]
    majority = 100 * rows["answer"].value_counts().iloc[0] / n
    if score.isin((0, 1)).all():
        interval = binomtest(int(score.sum()), n).proportion_ci(method="wilson")
        return n, 100 * score.mean(), 100 * interval.low, 100 * interval.high, majority
    return n, *_mean_over_tasks(rows)[:3], majority


def paired_difference(rows: pd.DataFrame, one: Any, other: Any, by: str = "way") -> Difference:
    """Mean over tasks of `one` minus `other`, in percentage points, on the same questions.

    rows: of `evaluate`; a question asked several times (with several seeds) counts once, with its
        mean score. by: the column that holds `one` and `other`.

    Raises ValueError if they did not answer the same questions.
    """
    wide = _paired(rows, one, other, by)
    gain = (wide[one] - wide[other]).rename("score").reset_index()
    return Difference(*_mean_over_tasks(gain), len(gain))


def percent_of(rows: pd.DataFrame, one: Any, other: Any, by: str = "way") -> Interval:
    """What `one` keeps of `other`: mean over tasks of the ratio of their accuracies, in percent.

    rows, by: as for `paired_difference`. NaN if `other` has no right answer in a task: there is
        nothing to keep. Raises as `paired_difference`.
    """
    wide = _paired(rows, one, other, by)
    means = wide.groupby("task").transform("mean")
    if not means[other].all():
        return NOTHING
    ratio = means[one] / means[other]
    value = 100 * float(ratio.groupby("task").first().mean())
    # By how much each question moves the ratio of its task: its mean is zero in every task.
    moves = ((wide[one] - ratio * wide[other]) / means[other]).rename("score").reset_index()
    _, low, high, _ = _mean_over_tasks(moves)
    return Interval(value, value + low, value + high)


def _paired(rows: pd.DataFrame, one: Any, other: Any, by: str) -> pd.DataFrame:
    """Scores of the two, a column each, indexed by QUESTION."""
    wide = rows[rows[by].isin([one, other])].pivot_table("score", QUESTION, by, aggfunc="mean")
    if {one, other} - set(wide.columns) or wide.isna().any(axis=None):
        raise ValueError(f"{one} and {other} need the same questions")
    return wide


def _mean_over_tasks(rows: pd.DataFrame) -> tuple[float, float, float, float]:
    """Mean over tasks of `score` in percent, its bounds, and p of a mean of zero."""
    tasks = pd.get_dummies(rows["task"], dtype=float)
    images = pd.factorize(rows["image"])[0]
    value = 100 * float(rows.groupby("task")["score"].mean().mean())
    if images.max() == 0:
        return value, np.nan, np.nan, np.nan
    fit = OLS(rows["score"].to_numpy(float), tasks.to_numpy()).fit(
        cov_type="cluster", cov_kwds={"groups": images}, use_t=True
    )
    test: Any = fit.t_test(np.full((1, tasks.shape[1]), 1 / tasks.shape[1]))
    if not test.sd.item() > 1e-12:
        # Every question went alike: nothing was lost or gained, or the same everywhere.
        return value, value, value, float(abs(value) < 1e-9)
    low, high = 100 * test.conf_int()[0]
    return value, float(low), float(high), float(test.pvalue)


def holm(p: np.ndarray) -> np.ndarray:
    """P values `[N]` corrected for N comparisons (Holm, 1979): valid whatever their dependence.

    Those of statsmodels' `multipletests`, which collects garbage in the whole process at each call.
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return corrected.clip(max=1)
