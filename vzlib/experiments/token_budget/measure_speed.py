"""Questions answered per second with all visual tokens and with fewer."""

import statistics
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from vzlib import results
from vzlib.evaluation import questions
from vzlib.experiments.answers import identified
from vzlib.experiments.token_budget.settings import TokenBudget
from vzlib.methods import registry

EACH, ROUNDS = 32, 3  # questions per task, and how often each way is timed


def measure(settings: TokenBudget, retain: int = 64) -> pd.DataFrame:
    """Speed of whole answers, image processing and tower included, measured once and stored.

    Vanilla and VisionZip take turns on the same questions; the median of the rounds counts.
    Columns: method, tokens, questions, seconds, questions_per_second, ratio (to vanilla).
    """
    return results.compute(
        "answering_speed",
        {"each": min(EACH, settings.each), "retain": retain},
        partial(_measure, settings.model, settings.questions),
        uses=[registry.row(name).module for name in ("vanilla", "visionzip")],
        **identified(settings),
    )


def _measure(model: str, source: str, point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.evaluation.evaluate import Way, evaluate
    from vzlib.models import load

    loaded = load.loaded(model)
    asked = list(questions.read(source, point["each"]))
    count = sum(len(one.questions) for one in asked)
    tokens = {"vanilla": loaded.patches, "visionzip": point["retain"]}
    ways = {name: Way(name, registry.method(name), retain) for name, retain in tokens.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            evaluate(loaded, [way], asked, progress=False)
            if turn:  # the first warms up
                seconds[name].append(time.perf_counter() - start)
    middle = {name: statistics.median(taken) for name, taken in seconds.items()}
    rows = [
        (name, tokens[name], count, taken, count / taken, middle["vanilla"] / taken)
        for name, taken in middle.items()
    ]
    columns = ["method", "tokens", "questions", "seconds", "questions_per_second", "ratio"]
    return pd.DataFrame(rows, columns=columns)
