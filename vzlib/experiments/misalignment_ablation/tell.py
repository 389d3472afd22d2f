"""What the ablation of Table 5 says: effects with intervals, overlap, coverage and verdicts."""

from typing import Any

import numpy as np
import pandas as pd

from vzlib import paper
from vzlib.experiments.misalignment_ablation.measure import ALONE, BEFORE
from vzlib.statistics import MEAN, intervals, verdict
from vzlib.statistics.comparison import (
    QUESTION,
    headings,
    holm,
    paired_difference,
    percent_of,
    summary,
)
from vzlib.statistics.intervals import Interval

COMPARISONS = (
    ("ex1", "baseline"),
    ("ex1 random", "baseline"),
    ("ex1", "ex1 random"),
    ("ex2", "baseline"),
    ("ex2 zipped", "baseline"),
    ("ex2 random", "baseline"),
    ("ex2", "ex2 random"),
    ("ex2 zipped", "ex2 random"),
)
EX2 = {"dominant": "ex2", "zipped": "ex2 zipped"}  # readings of the paper's "top 128"


def conditions(rows: pd.DataFrame) -> pd.DataFrame:
    """What every way got and how it did, as in Table 5.

    rows: of `measure`. Columns: selector, condition, at_input, average, by_layer, n, one per task
    and mean (accuracy in percent), low and high (of the mean), majority (of the mean, if always the
    commonest answer).
    """
    found = []
    for (selector, condition), own in rows.groupby(["selector", "condition"], sort=False):
        score = summary(own, "condition").set_index("task")
        told: dict[Any, Any] = {
            "selector": selector,
            "condition": condition,
            "at_input": own["at_input"].mean(),
            "average": own["average"].mean(),
            "by_layer": own["by_layer"].mode().iloc[0],
            "n": len(own.drop_duplicates(QUESTION)),
        }
        of_mean = score.loc[MEAN, ["low", "high", "majority"]].to_dict()
        by_task = score["value"].rename(headings(score.index, [*told, *of_mean])).to_dict()
        found.append(told | by_task | of_mean)
    return pd.DataFrame(found)


def effects(rows: pd.DataFrame, by_task: bool = True) -> pd.DataFrame:
    """Paired differences between conditions, per task and as the mean over tasks.

    rows: of `measure`. by_task: or the means alone.

    Columns: selector, one, other, task, value (percentage points by which `one` is better), low,
    high (95 %, images as units), p, n (questions), percent (by which it is more than the other's
    accuracy, mean over tasks of the ratio, as `percent_of`) with percent_low and percent_high
    (missing where the other has no right answer in a task), holm (p corrected
    over all comparisons of means, or over all within tasks).
    """
    found = []
    for selector in rows.loc[rows["selector"] != ALONE, "selector"].unique():
        own = rows[rows["selector"] == selector]
        for task in (*(own["task"].unique() if by_task else ()), MEAN):
            chosen = own if task == MEAN else own[own["task"] == task]
            for pair in COMPARISONS:
                gain = paired_difference(chosen, *pair, by="condition")
                kept = percent_of(chosen, *pair, by="condition")
                found.append((selector, *pair, task, *gain, *(one - 100 for one in kept)))
    columns = [
        "selector", "one", "other", "task", "value", "low", "high", "p", "n",
        "percent", "percent_low", "percent_high",
    ]  # fmt: skip
    table = pd.DataFrame(found, columns=columns)
    of_means = table["task"] == MEAN
    for family in (of_means, ~of_means):
        table.loc[family, "holm"] = holm(table.loc[family, "p"].to_numpy())
    return table


def with_paper(effects: pd.DataFrame, ex2: str = "dominant") -> pd.DataFrame:
    """The `effects` and, as `paper`, the percent of Table 5 (SparseVLM on TextVQA).

    ex2: as in the settings.
    """
    published = paper.table(5).set_index("experiment")["change_percent"]
    printed = {("sparsevlm", "ex1", "baseline"): published["Ex1"]}
    printed["sparsevlm", EX2[ex2], "baseline"] = published["Ex2"]
    of_means = effects["task"] == MEAN
    keys = zip(effects["selector"], effects["one"], effects["other"], strict=True)
    values = pd.Series([printed.get(key, float("nan")) for key in keys], effects.index)
    return effects.assign(paper=values.where(of_means).astype(float))


def overlap(rows: pd.DataFrame) -> pd.DataFrame:
    """How many of the kept tokens the encoder calls dominant, against chance.

    rows: of `measure`. Columns: selector, condition, share and chance (percent of the kept and of
    the offered tokens), value (share / chance) with its 95 % interval low, high over images, n
    (images).
    """
    found = []
    for key, own in rows.groupby(["selector", "condition"], sort=False):
        by_image = own.groupby("image")[["dominant", "chance"]].mean()
        share, chance = (by_image[name].to_numpy() for name in ("dominant", "chance"))
        ratio = intervals.ratio(share, chance)
        found.append((*key, share.mean(), chance.mean(), *ratio, len(by_image)))
    columns = ["selector", "condition", "share", "chance", *Interval._fields, "n"]
    return pd.DataFrame(found, columns=columns)


def coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """How often a kept token covers a thing that the question is about, in percent.

    rows: of `measure`. Columns: selector, condition, task, value, low, high (95 % over images), n
    (questions that are about something, which in the mean weigh alike). Empty where no scene is
    known.
    """
    keys = ["selector", "condition", *QUESTION]  # asked with several seeds counts once
    known = rows.groupby(keys, sort=False)["covered"].mean().dropna().reset_index()
    found = []
    for key, own in pd.concat([known, known.assign(task=MEAN)]).groupby(
        ["selector", "condition", "task"], sort=False
    ):
        covered, images = own["covered"].to_numpy(), own["image"].to_numpy(str)
        interval = Interval(float(covered.mean()), np.nan, np.nan)  # of one image nothing is sure
        if own["image"].nunique() > 1:
            interval = intervals.mean_over(covered, images)
        found.append((*key, *interval, len(own)))
    return pd.DataFrame(found, columns=["selector", "condition", "task", *Interval._fields, "n"])


def relevance(rows: pd.DataFrame, permuted: pd.DataFrame) -> pd.DataFrame:
    """What the question has to do with what is kept for it: less with that of another image.

    rows, permuted: of `measure` (its baseline) and `measure_permuted`, of the same questions.
    Columns: selector, of ("dominant": percent of the kept tokens that are; "covered": percent of
    the objects asked about), own and other (means over questions), value (their difference) with
    low and high over images, n (questions).
    """
    keys = ["selector", *QUESTION]
    own = rows[rows["condition"] == "baseline"].drop_duplicates(keys)
    both = own.merge(permuted.drop_duplicates(keys), on=keys, suffixes=("", "_other"))
    found = []
    for selector, group in both.groupby("selector", sort=False):
        for of in ("dominant", "covered"):
            known = group.dropna(subset=[of, f"{of}_other"])
            if known["image"].nunique() > 1:
                ours, others = (known[name].to_numpy(float) for name in (of, f"{of}_other"))
                interval = intervals.mean_over(ours - others, known["image"].to_numpy(str))
                found.append((selector, of, ours.mean(), others.mean(), *interval, len(known)))
    columns = ["selector", "of", "own", "other", *Interval._fields, "n"]
    return pd.DataFrame(found, columns=columns)


def verdicts(table: pd.DataFrame, ex2: str = "dominant") -> pd.DataFrame:
    """Is the paper's effect there? From the intervals of `effects`, mean over tasks.

    ex2: as in the settings. Columns: selector, experiment, paper (percent, of the paper), percent,
    verdict (has the effect the paper's sign?), which (and is it that of these tokens, beyond as
    many random ones?), sentence.
    """
    published = paper.table(5).set_index("experiment")["change_percent"]
    rows: Any = table[table["task"] == MEAN].itertuples()
    means = {(row.selector, row.one, row.other): row for row in rows}
    found = []
    for selector in table["selector"].unique():
        for experiment, one in (("Ex1", "ex1"), ("Ex2", EX2[ex2])):
            claimed = float(published[experiment])
            effect = means[selector, one, "baseline"]
            control = means[selector, one, f"{experiment.lower()} random"]
            decisions = _sign(effect, claimed), _sign(control, claimed)
            sentence = (
                f"{experiment} with {selector}: {_told(effect)}; the paper's effect "
                f"({claimed:+.1f} % on TextVQA with SparseVLM) is {decisions[0]}. "
                f"Against as many random patches: {_told(control)}; that these patches matter "
                f"more than others, in the paper's direction, is {decisions[1]}."
            )
            found.append((selector, experiment, claimed, effect.percent, *decisions, sentence))
    columns = ["selector", "experiment", "paper", "percent", "verdict", "which", "sentence"]
    return pd.DataFrame(found, columns=columns)


def _sign(effect: Any, claimed: float) -> str:
    """Found if the whole interval lies on the side of zero that is claimed."""
    side = float(np.sign(claimed))
    low, high = sorted((side * effect.low, side * effect.high))
    return verdict.above(Interval(side * effect.value, low, high), 0)


def _told(effect: Any) -> str:
    return (
        f"{effect.value:+.1f} points [{effect.low:+.1f}, {effect.high:+.1f}] or "
        f"{effect.percent:+.1f} %, p = {effect.p:.2g} (Holm {effect.holm:.2g}), n = {effect.n}"
    )


def conclusion(rows: pd.DataFrame, ex2: str = "dominant") -> str:
    """What was found, a sentence a line. rows, ex2: of `measure` and the settings."""
    lines = verdicts(effects(rows), ex2)["sentence"].tolist()
    got = conditions(rows).set_index(["selector", "condition"])
    shared = overlap(rows).set_index(["selector", "condition"])
    for selector in dict.fromkeys(rows.loc[rows["selector"] != ALONE, "selector"]):
        own = got.loc[(selector, "baseline")]
        if own["low"] <= own["majority"]:
            lines.append(
                f"Mind: with {selector} the baseline answers {own['mean']:.1f} % "
                f"[{own['low']:.1f}, {own['high']:.1f}] right, no more than always giving the "
                f"commonest answer ({own['majority']:.1f} %), so that there is little to lose."
            )
        part = shared.loc[(selector, "baseline")]
        apart = verdict.above(Interval(*part[list(Interval._fields)]), 1)
        words = {verdict.FOUND: "more than", verdict.OPPOSITE: "less than"}
        lines.append(
            f"Of the tokens that {selector} keeps of all, {part['share']:.1f} % are dominant, "
            f"{words.get(apart, 'not distinguishable from')} chance ({part['chance']:.1f} %): "
            f"{part['value']:.2f} times [{part['low']:.2f}, {part['high']:.2f}]."
        )
    covered = coverage(rows)
    means: Any = covered[covered["task"] == MEAN].itertuples()
    for row in means:
        if row.condition in ("baseline", EX2[ex2], *BEFORE):
            alone = row.selector == ALONE
            way = f"{row.condition} alone" if alone else f"{row.selector}, {row.condition}"
            lines.append(
                f"With {way}, a kept token covers the thing asked about in {row.value:.1f} % "
                f"[{row.low:.1f}, {row.high:.1f}] of {row.n} questions."
            )
    return "\n".join(lines)
