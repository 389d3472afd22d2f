"""What the answers of `measure` say: what tuning the projector gives back, and what it costs."""

from typing import Any

import numpy as np
import pandas as pd

from vzlib import paper
from vzlib.experiments.efficient_tuning.measure import UNTUNED
from vzlib.statistics import verdict
from vzlib.statistics.comparison import QUESTION, holm, paired_difference, percent_of
from vzlib.statistics.comparison import summary as accuracy
from vzlib.statistics.intervals import NOTHING, Interval, ratio, written

PAPER_MODEL = "LLaVA-1.5-7B"


def curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of every projector at every budget that it was asked at, with 95 % intervals.

    rows: of `measure.measure`. Columns: data, tuned_for, budget, task (and "mean"), n, value, low,
    high, majority.
    """
    return accuracy(rows, ("data", "tuned_for", "budget"))


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """What each tuned projector gives back at the budget that it was tuned for.

    Columns: data, budget, n, value, low, high and p (points over the model's own projector at the
    same budget, paired; p by Holm over all rows), before, after (accuracy), recovered,
    recovered_low, recovered_high (percent of what the budget lost), kept and kept_before with
    their bounds (percent of the accuracy with all tokens), and the same in the paper, paper_before
    and paper_after (of LLaVA-1.5-7B), and verdict: whether what is kept reaches the paper's.
    """
    found = []
    for data, budget in _tuned(rows):
        own = _beside(rows, data, budget)
        gain = paired_difference(own, "tuned", "before")
        found.append(
            {
                "data": data,
                "budget": budget,
                "n": gain.n,
                "value": gain.value,
                "low": gain.low,
                "high": gain.high,
                "p": gain.p,
                "before": _mean(own, "before"),
                "after": _mean(own, "tuned"),
                **_bounds("recovered", recovered(own)),
                **_bounds("kept_before", percent_of(own, "before", "all")),
                **_bounds("kept", percent_of(own, "tuned", "all")),
                "paper_before": printed(budget, tuned=False),
                "paper_after": printed(budget, tuned=True),
            }
        )
    table = pd.DataFrame(found)
    return table.assign(
        p=holm(table["p"].to_numpy()),
        verdict=[_reached(row) for _, row in table.iterrows()],
    )


def _reached(row: Any) -> str:
    """By the rule of the ledger; empty where the paper has no such budget."""
    if np.isnan(row["paper_after"]):
        return ""
    kept = Interval(row["kept"], row["kept_low"], row["kept_high"])
    return verdict.reaches(kept, row["paper_after"])


def with_all(rows: pd.DataFrame) -> pd.DataFrame:
    """What a tuned projector does with all tokens, against the model's own, where it was asked.

    Columns: data, budget (tuned for), n, value, low, high and p (points, paired; p by Holm).
    """
    found = []
    for data, budget in _tuned(rows):
        own = _beside(rows, data, budget)
        if "tuned, all" not in set(own["way"]):
            continue
        change = paired_difference(own, "tuned, all", "all")
        found.append((data, budget, change.n, *change[:4]))
    table = pd.DataFrame(found, columns=["data", "budget", "n", "value", "low", "high", "p"])
    return table.assign(p=holm(table["p"].to_numpy()))


def matching(rows: pd.DataFrame, data: str) -> pd.DataFrame:
    """Points by which the data that match are better to tune on than others, at each budget.

    data: those that match. Columns: other, budget, n, value, low, high, p.
    """
    found = []
    tuned = rows[(rows["data"] != UNTUNED) & (rows["tuned_for"] == rows["budget"])]
    for budget, own in tuned.groupby("budget", sort=False):
        for other in own["data"].unique():
            if other != data:
                gain = paired_difference(own, data, other, "data")
                found.append((other, budget, gain.n, *gain[:4]))
    return pd.DataFrame(found, columns=["other", "budget", "n", "value", "low", "high", "p"])


def recovered(rows: pd.DataFrame) -> Interval:
    """Percent of what a budget lost that tuning gives back, with images as units.

    rows: of ways "before", "tuned" and "all". NaN where the budget lost nothing.
    """
    wide = rows.pivot_table("score", QUESTION, "way", aggfunc="mean").reset_index()
    weight = 1 / wide.groupby("task")["image"].transform("size")
    parts = pd.DataFrame(
        {
            "image": wide["image"],
            "back": weight * (wide["tuned"] - wide["before"]),
            "lost": weight * (wide["all"] - wide["before"]),
        }
    )
    images = parts.groupby("image").sum()
    if images["lost"].sum() <= 0 or len(images) < 2:
        return NOTHING
    found = ratio(images["back"].to_numpy(), images["lost"].to_numpy())
    return Interval(*(100 * bound for bound in found))


def times(tunings: pd.DataFrame) -> pd.DataFrame:
    """What each tuning cost. tunings: of `measure.tune`.

    Columns: data, budget, name, images, questions, steps, minutes, cpu_minutes, loss (mean of the
    last tenth of the steps), dtype.
    """
    found = []
    keys = ["data", "budget", "name", "images", "questions", "dtype"]
    for names, own in tunings.groupby(keys, sort=False):
        last, tail = own.iloc[-1], own["loss"].tail(max(1, len(own) // 10))
        minutes = (last["seconds"] / 60, last["cpu_seconds"] / 60)
        found.append((*names, len(own), *minutes, float(tail.mean())))
    return pd.DataFrame(found, columns=[*keys, "steps", "minutes", "cpu_minutes", "loss"])


def printed(budget: int, *, tuned: bool) -> float:
    """Percent of vanilla in the paper's Table 1; NaN for a budget that is not in it."""
    try:
        return paper.score(PAPER_MODEL, "VisionZip", budget, "average", tuned=tuned, number=1)
    except ValueError:
        return float("nan")


def conclusion(gained: pd.DataFrame, whole: pd.DataFrame, data: str) -> str:
    """A sentence for every budget, of the data that match."""
    sentences = []
    own: Any = gained[gained["data"] == data].itertuples()
    for row in own:
        points = written(Interval(row.value, row.low, row.high))
        same = whole[(whole["data"] == data) & (whole["budget"] == row.budget)].iloc[0]
        paper_said = ""
        if not np.isnan(row.paper_after):
            gain = row.paper_after - row.paper_before
            paper_said = f" (the paper's LLaVA-1.5-7B: {gain:+.1f} points of its percentage)"
        sentences.append(
            f"{row.budget} tokens: {row.before:.1f} % before, {row.after:.1f} % after tuning, "
            f"{points} points{paper_said}; {row.recovered:.0f} % of what was lost is back; with "
            f"all tokens the tuned projector moves the model by "
            f"{written(Interval(*same[['value', 'low', 'high']]))} points."
        )
    return "\n".join(sentences)


def _tuned(rows: pd.DataFrame) -> list[tuple[str, int]]:
    """On which data, and for how many tokens, projectors were tuned."""
    pairs = rows.loc[rows["data"] != UNTUNED, ["data", "tuned_for"]].drop_duplicates()
    return [(str(data), int(budget)) for data, budget in pairs.to_numpy()]


def _beside(rows: pd.DataFrame, data: str, budget: int) -> pd.DataFrame:
    """The answers of one tuned projector and of the model's own: ways before, tuned, all and
    tuned, all."""
    everything = rows["budget"].max()
    own, tuned = rows["data"] == UNTUNED, (rows["data"] == data) & (rows["tuned_for"] == budget)
    ways = {
        "before": own & (rows["budget"] == budget),
        "all": own & (rows["budget"] == everything),
        "tuned": tuned & (rows["budget"] == budget),
        "tuned, all": tuned & (rows["budget"] == everything),
    }
    return pd.concat([rows[chosen].assign(way=way) for way, chosen in ways.items()])


def _mean(rows: pd.DataFrame, way: str) -> float:
    table = accuracy(rows[rows["way"] == way])
    return float(table["value"].iloc[-1])  # the mean over tasks stands last


def _bounds(name: str, interval: Interval) -> dict[str, float]:
    names = (name, f"{name}_low", f"{name}_high")
    return dict(zip(names, interval, strict=True))
