"""What the answers about clips and albums amount to: accuracies, and what is kept of all tokens."""

from typing import Any

import pandas as pd

from vzlib import paper
from vzlib.experiments.video.measure import VANILLA
from vzlib.statistics import MEAN
from vzlib.statistics.comparison import QUESTION, paired_difference, percent_of, summary
from vzlib.statistics.intervals import Interval

WAY = ["method", "spread", "budget"]
ZIPPED = (("visionzip", "evenly"), ("visionzip", "attention"))
PAPERS = {
    "vanilla": "Vanilla",
    "visionzip": "VisionZip",
    "fastv": "FastV",
    "sparsevlm": "SparseVLM",
}
PAPER_BUDGET = 136


def named(rows: pd.DataFrame) -> pd.DataFrame:
    """With a column `way` that tells ways apart: "visionzip evenly 136", "vanilla"."""
    way = rows["method"] + " " + rows["spread"] + " " + rows["budget"].astype(str)
    return rows.assign(way=way.mask(rows["method"] == VANILLA, VANILLA))


def way(method: Any, spread: Any, budget: Any) -> str:
    """As `named` calls it."""
    return f"{method} {spread} {budget}"


def accuracies(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy in percent of every way, per task and as the mean over tasks.

    rows: of `measure`. Columns: kind, method, spread, budget, task, n, value, low, high (95 %),
    majority, average (visual tokens per layer).
    """
    found = summary(rows, ["kind", *WAY])
    spent = rows.groupby(["kind", *WAY], as_index=False)["average"].mean()
    return found.merge(spent, on=["kind", *WAY], how="left")


def kept(rows: pd.DataFrame) -> pd.DataFrame:
    """What every way keeps of the accuracy with all tokens, in percent, mean over tasks.

    rows: of `measure`. Columns: kind, method, spread, budget, average, value, low, high (95 %,
    paired, clips or albums as units), n (questions), difference with difference_low and
    difference_high (VisionZip, evenly, less this way, in points, at the same budget), and paper
    (Table 3, at its 136 of 2 048 tokens).
    """
    found = []
    for (kind, *ways), own in named(rows).groupby(["kind", *WAY], sort=False):
        method, spread, budget = ways
        if method == VANILLA:
            continue
        one = way(method, spread, budget)
        every = named(rows[rows["kind"] == kind])
        share = percent_of(every, one, VANILLA)
        zipped = way(*ZIPPED[0], budget)
        gain = (float("nan"),) * 3
        if one != zipped and zipped in set(every["way"]):
            gain = paired_difference(every, zipped, one)[:3]
        n = len(own.drop_duplicates(QUESTION))
        found.append((kind, *ways, own["average"].mean(), *share, n, *gain,
                      _papers(str(kind), *ways)))  # fmt: skip
    columns = ["kind", *WAY, "average", *Interval._fields, "n", "difference", "difference_low",
               "difference_high", "paper"]  # fmt: skip
    return pd.DataFrame(found, columns=columns)


def _papers(kind: str, method: Any, spread: Any, budget: Any) -> float:
    if kind != "clip" or int(budget) != PAPER_BUDGET or spread == "attention":
        return float("nan")
    told = paper.table(3)
    own = told[(told["method"] == PAPERS.get(method)) & (told["benchmark"] == "average")]
    return float(own["percent_of_vanilla"].iloc[0]) if len(own) else float("nan")


def spreads(rows: pd.DataFrame) -> pd.DataFrame:
    """One budget for a whole clip against as many tokens of each frame, VisionZip, in points.

    rows: of `measure`. Columns: kind, budget, task, value, low, high (95 %), p, n.
    """
    found = []
    for (kind, budget), own in named(rows).groupby(["kind", "budget"], sort=False):
        one, other = (way(*each, budget) for each in (ZIPPED[1], ZIPPED[0]))
        if not {one, other} <= set(own["way"]):
            continue
        for task in (*own["task"].unique(), MEAN):
            chosen = own if task == MEAN else own[own["task"] == task]
            found.append((kind, budget, task, *paired_difference(chosen, one, other)))
    columns = ["kind", "budget", "task", *Interval._fields, "p", "n"]
    return pd.DataFrame(found, columns=columns)


def conclusion(rows: pd.DataFrame) -> str:
    """What was found, a sentence a line. rows: of `measure`."""
    lines = []
    full = accuracies(rows).query(f"method == '{VANILLA}' and task == '{MEAN}'")
    every: Any = full.itertuples()
    for row in every:
        lines.append(
            f"With all {row.budget} tokens {row.value:.1f} % [{row.low:.1f}, {row.high:.1f}] of "
            f"questions about {row.kind}s are answered right (n = {row.n}); always the commonest "
            f"answer gives {row.majority:.1f} %."
        )
    told: Any = kept(rows).itertuples()
    for row in told:
        lines.append(
            f"{row.kind}, {row.method} {row.spread}, {row.average:.0f} tokens: keeps "
            f"{row.value:.1f} % [{row.low:.1f}, {row.high:.1f}]"
            + (f"; the paper's {row.paper:.1f} %." if row.paper == row.paper else ".")
        )
    return "\n".join(lines)
