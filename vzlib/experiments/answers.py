"""What analyses that ask questions keep: whose answers they are, and the scores by task."""

from collections.abc import Sequence
from typing import Any, Protocol

import pandas as pd

from vzlib.evaluation import questions
from vzlib.models.checkpoint import keyed


class Asks(Protocol):
    """Settings that name a model and a source of questions."""

    @property
    def model(self) -> str: ...

    @property
    def questions(self) -> str: ...


def identified(settings: Asks) -> dict[str, Any]:
    """Model and questions of an analysis, as `vzlib.results.compute` takes them.

    All weights and the whole file of questions are read for it, so ask once per run. Raises
    ValueError for a model or questions that there are not.
    """
    return {
        **keyed(settings.model),
        "data_version": questions.version(settings.questions),
        "about": {"model": settings.model, "questions": settings.questions},
    }


def by_task(answers: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """A row for each task: no interval, whose rule may change, and no key with it.

    answers: of `vzlib.evaluation.evaluate.evaluate`. by: further columns that tell rows apart.
    Columns: those of `by`, task, n (questions), and the means of score, at_input and average.
    """
    table = answers.groupby([*by, "task"], sort=False, dropna=False).agg(
        n=("score", "size"),
        score=("score", "mean"),
        at_input=("at_input", "mean"),
        average=("average", "mean"),
    )
    return table.reset_index()
