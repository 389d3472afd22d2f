"""What the answers of `measure` amount to: accuracy by turn, what keeping costs, who leads."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from vzlib.experiments.many_turns.dialogues import OTHER, SAME
from vzlib.methods import registry
from vzlib.statistics import MEAN
from vzlib.statistics.comparison import (
    QUESTION,
    Difference,
    holm,
    paired_difference,
    summary,
)
from vzlib.statistics.intervals import Interval, written

VANILLA, ZIPPED = "vanilla", "visionzip"
FIRST, LATER = "the first turn", "later turns"
ANY, CONTRAST = "all questions", "the same thing less another"
WAY = ["method", "budget", "history"]


def by_turn(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy in percent, mean over tasks, of every way and turn, with its 95 % interval.

    Columns: method, budget, history, turn, n, value, low, high.
    """
    score = summary(rows, [*WAY, "turn"])
    return score[score["task"] == MEAN].drop(columns=["task", "majority"]).reset_index(drop=True)


def keeping(rows: pd.DataFrame) -> pd.DataFrame:
    """What a later question loses, asked behind a first one instead of in a prefill of its own.

    Differences in points on the same questions at the same budget: by what the first question was
    about, and between the two. Columns: method, budget, history, about, value, low, high, p, n.
    """
    found = []
    for way, own in rows.groupby(WAY, sort=False):
        for about, gain in _kept(own):
            found.append((*way, about, *gain))
    return pd.DataFrame(found, columns=[*WAY, "about", *Difference._fields])


def _kept(rows: pd.DataFrame) -> Iterator[tuple[str, Difference]]:
    first, later = rows[rows["turn"] == 1], rows[rows["turn"] > 1]
    for about, own in (
        (ANY, later),
        *((one, later[later["about"] == one]) for one in (SAME, OTHER)),
    ):
        if len(own):
            both = pd.concat([own.assign(when=LATER), _shared(first, own).assign(when=FIRST)])
            yield about, paired_difference(both, LATER, FIRST, "when")
    same, other = (later[later["about"] == one] for one in (SAME, OTHER))
    both = pd.concat([_shared(same, other), _shared(other, same)])
    if len(both):
        yield CONTRAST, paired_difference(both, SAME, OTHER, "about")


def _shared(rows: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """The rows of questions that are among the others'."""
    index = pd.MultiIndex.from_frame(rows[QUESTION])
    return rows[index.isin(pd.MultiIndex.from_frame(others[QUESTION]))]


def leads(rows: pd.DataFrame, history: str) -> pd.DataFrame:
    """Points by which VisionZip is better than every other method that spends as much, by turn.

    Columns: method, budget, when (the first turn, the last, all later ones together), value, low,
    high, p (two-sided), n, holm (p corrected for all comparisons of the table).
    """
    asked = rows[rows["history"] == history]
    last, found = int(asked["turn"].max()), []
    spans = {FIRST: asked["turn"] == 1, f"turn {last}": asked["turn"] == last,
             LATER: asked["turn"] > 1}  # fmt: skip
    for budget, own in asked[asked["method"] != VANILLA].groupby("budget", sort=False):
        names = own["method"].unique()
        for name in names[names != ZIPPED] if ZIPPED in names else []:
            for when, within in spans.items():
                both = own[within[own.index]]
                gain = paired_difference(both, ZIPPED, name, "method")
                found.append((name, budget, when, *gain))
    table = pd.DataFrame(found, columns=["method", "budget", "when", *Difference._fields])
    return table.assign(holm=holm(table["p"].to_numpy()))


def form(rows: pd.DataFrame) -> Difference:
    """With all tokens, by how much the last turn is better where what was said is dropped."""
    last = rows[(rows["method"] == VANILLA) & (rows["turn"] == rows["turn"].max())]
    return paired_difference(last, "dropped", "kept", "history")


def costs(rows: pd.DataFrame, history: str) -> pd.DataFrame:
    """What a dialogue costs the language model, with the cache kept and with fresh prefills.

    Columns: method, budget, visual (tokens per layer), held (tokens in the cache before the last
    turn, per layer), first and later (GFLOPs to read a turn, up to the first word), kept and fresh
    (GFLOPs of all turns), ratio (fresh over kept).
    """
    found = []
    for (name, budget), own in rows[rows["history"] == history].groupby(
        ["method", "budget"], sort=False
    ):
        turns = int(own["turn"].max())
        mean = own.groupby("turn")[["visual", "held", "gflops"]].mean()
        first, later = mean["gflops"].iloc[0], mean["gflops"].iloc[1:].mean()
        kept, fresh = mean["gflops"].sum(), turns * first
        found.append((name, budget, mean["visual"].iloc[0], mean["held"].iloc[-1], first, later,
                      kept, fresh, fresh / kept))  # fmt: skip
    columns = ["method", "budget", "visual", "held", "first", "later", "kept", "fresh", "ratio"]
    return pd.DataFrame(found, columns=columns)


def times(seconds: pd.DataFrame) -> pd.DataFrame:
    """Milliseconds to the first word of each stage, medians of the rounds.

    seconds: of `measure_speed.measure`. Columns: method, budget, cache, and one per stage.
    """
    middle = seconds.groupby(["method", "budget", "cache", "stage"], sort=False)["seconds"].median()
    return (1e3 * middle).unstack("stage").reset_index()


def conclusion(rows: pd.DataFrame, history: str) -> str:
    """What the model can do, what the first question costs, and who leads, in sentences."""
    gap = form(rows)
    lines = [
        f"With all tokens, turn {rows['turn'].max()} is {_points(gap)} points better where what "
        f"was said before is dropped than where it is kept (n = {gap.n})."
    ]
    kept = keeping(rows[rows["history"] == history])
    for row in kept[(kept["about"] == ANY) & (kept["method"] != VANILLA)].itertuples():
        lines.append(
            f"{registry.label_of(str(row.method))}, {row.budget} tokens: behind another question "
            f"{_points(row)} points (n = {row.n})."
        )
    table = leads(rows, history)
    for row in table[table["when"] == LATER].itertuples():
        lines.append(
            f"VisionZip leads {registry.label_of(str(row.method))} by {_points(row)} points in "
            f"later turns at {row.budget} tokens (p = {row.holm:.2g}, Holm)."
        )
    return "\n".join(lines)


def _points(row: Any) -> str:
    return written(Interval(row.value, row.low, row.high))
