"""Which answers go first as tokens get fewer: shares that are lost, and odds."""

from typing import Any

import numpy as np
import pandas as pd

from vzlib.experiments.what_is_lost.measure import VANILLA
from vzlib.experiments.what_is_lost.tell_odds import TASK, odds
from vzlib.statistics import intervals
from vzlib.statistics.comparison import QUESTION
from vzlib.statistics.intervals import Interval, written
from vzlib.statistics.several import largest

PROPERTIES = ("size", "eccentricity", "others", "contrast", "kept")
PARTS = 4  # bins of a property, with as many questions each
WAY = ["method", "budget"]


def answers(rows: pd.DataFrame, things: pd.DataFrame) -> pd.DataFrame:
    """Questions about something that are answered right with all tokens, and what became of them.

    rows, things: of `measure` and `measure_things`. Columns: those of both, and lost (1 if the
    answer with fewer tokens is wrong, else 0; of a question from a file what its score lost).
    """
    full = rows[rows["method"] == VANILLA].set_index(QUESTION)["score"].rename("full")
    fewer = rows[rows["method"] != VANILLA].join(full, on=QUESTION)
    right = fewer[fewer["full"] >= 1]
    told = things.dropna(subset="contrast")  # a detail with another thing all around it has none
    return right.assign(lost=1 - right["score"]).merge(told, on=QUESTION, how="inner")


def rates(data: pd.DataFrame) -> pd.DataFrame:
    """Share of the answers that are lost, in percent, by task and by parts of every property.

    data: of `answers`. The parts hold as many questions each, and are the same for all methods, but
    for "kept", which differs between them: none, up to a half, up to all, and all.
    Columns: method, budget, of (a property, or "task"), part (its number, or the task), middle (the
    median of the property in it), value, low, high (95 % over images), n.
    """
    found = []
    for way, own in data.groupby(WAY, sort=False):
        for task, part in own.groupby("task", sort=False):
            found.append((*way, "task", task, np.nan, *_lost(part)))
        for name in PROPERTIES:
            for number, part in own.groupby(_parts(name, data, own), sort=True):
                found.append((*way, name, number, part[name].median(), *_lost(part)))
    columns = [*WAY, "of", "part", "middle", *Interval._fields, "n"]
    return pd.DataFrame(found, columns=columns)


def _parts(name: str, data: pd.DataFrame, own: pd.DataFrame) -> np.ndarray:
    """The number of the part in which each of `own` lies."""
    if name == "kept":
        return np.searchsorted([1e-9, 0.5, 1 - 1e-9], own["kept"], side="right")
    asked = data.drop_duplicates(QUESTION)[name]
    edges = np.unique(np.quantile(asked, np.linspace(0, 1, PARTS + 1)[1:-1]))
    return np.searchsorted(edges, own[name])


def _lost(rows: pd.DataFrame) -> tuple[float, float, float, int]:
    lost, images = 100 * rows["lost"].to_numpy(float), rows["image"].to_numpy(str)
    if len(set(images)) < 2:
        return float(lost.mean()), np.nan, np.nan, len(rows)
    return *intervals.mean_over(lost, images), len(rows)


def ratios(data: pd.DataFrame) -> pd.DataFrame:
    """`tell_odds.odds` of every method and budget, with and without what was kept.

    Columns: method, budget, held ("kept" if the share of patches kept is a term, else "nothing"),
    and those of `odds`.
    """
    tables = []
    for (method, budget), own in data.groupby(WAY, sort=False):
        for held in ("nothing", "kept"):
            table = odds(own, held == "kept")
            named: Any = {"method": method, "budget": budget, "held": held}
            told = table.assign(**named)
            tables.append(told[[*WAY, "held", *table.columns]])
    return pd.concat([one for one in tables if len(one)] or tables[:1], ignore_index=True)


def hardest_task(table: pd.DataFrame, method: str, budget: int) -> tuple[str, Interval] | None:
    """The task whose answers are lost most readily for what it asks about, and its odds against the
    mean of the tasks, with an interval for all tasks together; None where nothing was fitted.

    table: of `ratios`.
    """
    own = table[(table["method"] == method) & (table["budget"] == budget)]
    rows: Any = own[(own["held"] == "nothing") & own["low"].notna()].itertuples()
    logs = {
        row.term.removeprefix(TASK): Interval(*np.log([row.value, row.low, row.high]))
        for row in rows
        if row.term.startswith(TASK)
    }
    if not logs:
        return None
    task, interval = largest(logs)
    return task, Interval(*(float(np.exp(one)) for one in interval))


def conclusion(data: pd.DataFrame, table: pd.DataFrame) -> str:
    """A sentence for every method and budget. data, table: of `answers` and `ratios`."""
    lines = []
    for (method, budget), own in data.groupby(WAY, sort=False):
        fitted = table[(table["method"] == method) & (table["budget"] == budget)]
        said = (f"{method}, {budget} tokens: of {len(own)} answers about something that all tokens "
                f"give, {own['lost'].sum():.0f} are lost ({100 * own['lost'].mean():.1f} %)."
                )  # fmt: skip
        for held, words in (("nothing", "Odds of the loss"), ("kept", "With what is kept held")):
            rows: Any = fitted[(fitted["held"] == held) & (fitted["holm"] < 0.05)].itertuples()
            told = [f"{row.of} {written(Interval(row.value, row.low, row.high))}" for row in rows]
            if (fitted["held"] == held).any():
                said += f" {words}: {'; '.join(told) or 'no term is apart from 1'}."
        lines.append(said)
    return "\n\n".join(lines)
