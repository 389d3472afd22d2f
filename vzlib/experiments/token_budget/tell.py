"""What the answers of `measure` amount to: table, curves and ranks."""

import pandas as pd

from vzlib import paper
from vzlib.statistics import MEAN
from vzlib.statistics.comparison import (
    Difference,
    headings,
    holm,
    paired_difference,
    percent_of,
    summary,
)

VANILLA, REFERENCE = "vanilla", "visionzip"
COMPARED = ("difference", "difference_low", "difference_high", "p")
OTHERS = {"method", "budget", "at_input", "average", "gflops", "n", "low", "high", "percent",
          "percent_low", "percent_high", "paper", "label", *COMPARED}  # fmt: skip
NAN = float("nan")
NO_DIFFERENCE = Difference(NAN, NAN, NAN, NAN, 0)
PAPER_MODEL = "LLaVA-1.5-7B"
PAPER_NAMES = {"vanilla": "Vanilla", "visionzip": "VisionZip", "fastv": "FastV",
               "sparsevlm": "SparseVLM"}  # fmt: skip


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per method and budget, as in Table 1: accuracy of every task, their mean, and more.

    Columns: method, budget, at_input, average, gflops, n, one per task, mean, low, high, percent
    (of vanilla, mean over tasks of the ratio) with percent_low and percent_high, difference (to
    VisionZip at the same budget, paired, percentage points) with difference_low, difference_high
    and p (two-sided; Holm-corrected over all differences of the table).
    """
    full = rows[rows["method"] == VANILLA]
    found = []
    for (budget, name), own in rows.groupby(["budget", "method"], sort=False):
        score = summary(own, "method").set_index("task")
        percent = percent_of(pd.concat([own, full]), name, VANILLA, "method")
        row = {
            "method": name,
            "budget": budget,
            "at_input": own["at_input"].mean(),
            "average": own["average"].mean(),
            "gflops": own["gflops"].iloc[0],
            "n": own.drop_duplicates(["task", "image", "question"]).shape[0],
            **score["value"].rename(headings(score.index, OTHERS)).to_dict(),
            "low": score.loc[MEAN, "low"],
            "high": score.loc[MEAN, "high"],
            "percent": percent.value,
            "percent_low": percent.low,
            "percent_high": percent.high,
        }
        zipped = rows[(rows["budget"] == budget) & (rows["method"] == REFERENCE)]
        gain = NO_DIFFERENCE
        if len(zipped) and name not in (REFERENCE, VANILLA):
            gain = paired_difference(pd.concat([own, zipped]), name, REFERENCE, "method")
        compared = (gain.value, gain.low, gain.high, gain.p)
        found.append(row | dict(zip(COMPARED, compared, strict=True)))
    table = pd.DataFrame(found)
    given = table["p"].notna()
    table.loc[given, "p"] = holm(table.loc[given, "p"].to_numpy())
    return table


def curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of every method, budget and task, with its 95 % interval.

    Columns: method, budget, tokens (per layer on average), task (and "mean"), n, value, low, high,
    majority.
    """
    score = summary(rows, ("method", "budget"))
    spent = rows.groupby(["method", "budget"])["average"].mean().rename("tokens").reset_index()
    return score.merge(spent, on=["method", "budget"], how="left", sort=False)


def with_paper(table: pd.DataFrame) -> pd.DataFrame:
    """The `table` and, as `paper`, the percent of vanilla in the paper's Table 1 where it has one.

    There it is that of LLaVA-1.5-7B, mean of 11 benchmarks.
    """
    pairs = zip(table["method"], table["budget"], strict=True)
    return table.assign(paper=[_printed(method, budget) for method, budget in pairs])


def _printed(method: str, budget: int) -> float:
    try:
        return paper.score(PAPER_MODEL, PAPER_NAMES[method], budget, "average", number=1)
    except (KeyError, ValueError):
        return NAN


def conclusion(table: pd.DataFrame, level: float = 0.05) -> str:
    """A sentence per budget: where VisionZip stands among the methods that spend it."""
    sentences = []
    for budget, own in table[table["method"] != VANILLA].groupby("budget", sort=False):
        zipped = own[own["method"] == REFERENCE]
        if zipped.empty or len(own) < 2:
            continue
        ranked = own.sort_values("mean", ascending=False)
        rank = ranked["method"].tolist().index(REFERENCE) + 1
        sure = own[own["p"] < level]
        better = ranked[ranked["method"].isin(sure[sure["difference"] > 0]["method"])]["method"]
        worse = ranked[ranked["method"].isin(sure[sure["difference"] < 0]["method"])]["method"]
        best = ranked.iloc[0]
        sentences.append(
            f"{budget} tokens: VisionZip {zipped['mean'].iloc[0]:.1f} %, number {rank} of "
            f"{len(own)} methods; the best is {best['method']} with {best['mean']:.1f} %. "
            f"Better than VisionZip (p < {level:g}, Holm): {_listed(better)}; worse: "
            f"{_listed(worse)}."
        )
    return "\n".join(sentences)


def _listed(names: pd.Series) -> str:
    return ", ".join(names) or "none"
