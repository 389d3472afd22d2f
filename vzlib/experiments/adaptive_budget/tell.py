"""What is gained by giving images different numbers of tokens, at the same mean."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from vzlib.experiments.adaptive_budget import tell_rules
from vzlib.experiments.adaptive_budget.tell_rules import OF_ATTENTION, RULES, Asked, Images
from vzlib.statistics.comparison import Difference, holm, paired_difference, summary
from vzlib.statistics.intervals import Interval, written
from vzlib.statistics.several import largest

POOLED = 0  # stands among the budgets for the mean over them
FIXED, SPREAD = "fixed", "same spread"
OTHERS, HINDSIGHT = "other questions", "hindsight"
SIGNIFICANT = 0.05


class Told(NamedTuple):
    """What `measure` and `measure_images` hold, as arrays."""

    asked: Asked
    images: Images


def told(rows: pd.DataFrame, images: pd.DataFrame) -> Told:
    """rows: of `measure.measure`. images: of `measure_images.measure`."""
    known = tell_rules.images_of(images)
    return Told(tell_rules.asked_of(rows, known), known)


def rules(given: Told) -> list[str]:
    """The rules that can be applied: without scenes nobody knows how many things there are."""
    return [name for name in RULES if name != "things" or not np.isnan(given.images.things).any()]


def allotted(given: Told, budgets: Sequence[int]) -> pd.DataFrame:
    """What every rule gives to images.

    Columns: budget, rule, words (the rule with its parameter), least, low_tokens, high_tokens and
    most (tokens of the images: fewest, tenth and ninetieth percentile, most), mean (by
    question, tasks alike), with_things (Spearman correlation of the tokens with the number of
    things in the scene).
    """
    found = []
    for budget in budgets:
        for rule in rules(given):
            tokens, parameter = tell_rules.share(rule, given.images, given.asked, budget)
            each = _by_image(given.asked, tokens)
            spread = np.percentile(each, (0, 10, 90, 100))
            known = len(set(given.images.things)) > 1 and each.std() > 0
            related = spearmanr(each, given.images.things).statistic if known else float("nan")
            words = RULES[rule][0].format(parameter)
            found.append((budget, rule, words, *spread, given.asked.spent(tokens), float(related)))
    columns = ["budget", "rule", "words", "least", "low_tokens", "high_tokens", "most", "mean",
               "with_things"]  # fmt: skip
    return pd.DataFrame(found, columns=columns)


def _by_image(asked: Asked, tokens: np.ndarray) -> np.ndarray:
    first = np.unique(asked.image, return_index=True)[1]
    return tokens[first]


def differences(given: Told, budgets: Sequence[int]) -> pd.DataFrame:
    """By how many points a rule answers more than another, of the same mean.

    Paired by question, images as units, for each budget and for their mean (budget POOLED). A rule
    stands against the fixed budget, and against its own numbers of tokens given at random, which is
    what it would be if it knew nothing: the rest of the difference to the fixed budget is what
    unequal budgets cost, as the curve of accuracy is steeper where tokens are few.

    Columns: budget, rule, against, value, low, high, p, n (questions), holm (p corrected over the
    rules of attention at all budgets but POOLED, or at POOLED; missing for the others).
    """
    tables = [_answers(given, budget) for budget in budgets]
    found = []
    for budget, rows in zip((POOLED, *budgets), (pd.concat(tables), *tables), strict=True):
        for name in [*rules(given), OTHERS, HINDSIGHT]:
            for against, other in ((FIXED, FIXED), (SPREAD, f"{name}, {SPREAD}")):
                found.append((budget, name, against, *paired_difference(rows, name, other)))
    table = pd.DataFrame(found, columns=["budget", "rule", "against", *Difference._fields])
    decided = table["rule"].isin(OF_ATTENTION) & (table["against"] == FIXED)
    for family in (decided & (table["budget"] == POOLED), decided & (table["budget"] != POOLED)):
        table.loc[family, "holm"] = holm(table.loc[family, "p"].to_numpy())
    return table


def _answers(given: Told, budget: int) -> pd.DataFrame:
    """A row per question and way of sharing `budget`, with its expected score."""
    asked, images = given
    given_to = {rule: tell_rules.share(rule, images, asked, budget).tokens
                for rule in rules(given)}  # fmt: skip
    given_to[OTHERS] = tell_rules.by_other_questions(asked, budget)
    given_to[HINDSIGHT] = tell_rules.in_hindsight(asked, budget)
    scores = {FIXED: asked.expected(np.full(len(asked.image), float(budget)))}
    for name, tokens in given_to.items():
        scores[name] = asked.expected(tokens)
        scores[f"{name}, {SPREAD}"] = asked.at_random(tokens)
    return pd.concat([asked.questions.assign(way=way, score=own) for way, own in scores.items()],
                     ignore_index=True)  # fmt: skip


def curve(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy at every step of the ladder. Columns: tokens, and those of `summary`."""
    return summary(rows, "tokens")


def best(table: pd.DataFrame) -> tuple[str, Interval]:
    """Of the rules that look at attention the one that gains most, pooled over the budgets, with
    an interval that holds for all of them together. table: of `differences`.
    """
    own = table[(table["budget"] == POOLED) & (table["against"] == FIXED)]
    rows: Any = own[own["rule"].isin(OF_ATTENTION)].itertuples()
    return largest({row.rule: Interval(row.value, row.low, row.high) for row in rows})


def conclusion(table: pd.DataFrame, sizes: pd.DataFrame) -> str:
    """A paragraph. table: of `differences`. sizes: of `allotted`."""
    pooled = table[(table["budget"] == POOLED) & (table["against"] == FIXED)].set_index("rule")
    n = int(pooled["n"].iloc[0])
    budgets = [budget for budget in dict.fromkeys(table["budget"]) if budget != POOLED]
    means = " and ".join(map(str, budgets))
    rule, interval = best(table)
    sure = pooled["holm"] < SIGNIFICANT
    better = [name for name in pooled.index[sure] if pooled.loc[name, "value"] > 0]
    worse = [name for name in pooled.index[sure] if pooled.loc[name, "value"] < 0]
    words = sizes[sizes["rule"] == rule].iloc[0]
    sentences = [
        f"At a mean of {means} tokens and on {n} questions the best of {len(OF_ATTENTION)} rules "
        f"that look at the attention is {rule} ({words['words']}, which at {words['budget']} "
        f"gives a tenth of the images at most {words['low_tokens']:.0f} and a tenth at least "
        f"{words['high_tokens']:.0f}): {written(interval)} points over the same number for all, "
        f"with an interval that holds for the {len(OF_ATTENTION)} together.",
        f"Better than fixed (p < {SIGNIFICANT:g}, Holm): {', '.join(better) or 'none'}; worse: "
        f"{', '.join(worse) or 'none'}.",
    ]
    for name, said in (
        (rule, f"Against its own numbers of tokens given at random, {rule} gains"),
        ("things", "who knows how many things each image shows and shares by that"),
        (OTHERS, "who knows the answers to the other questions about the same image"),
    ):
        own = table[(table["rule"] == name) & (table["against"] == SPREAD)]
        if len(own):
            gain = Interval(*own.iloc[0][list(Interval._fields)].astype(float))
            sentences.append(f"{said} {written(gain)}")
    ceiling = Interval(*pooled.loc[HINDSIGHT, list(Interval._fields)].astype(float))
    return (
        f"{' '.join(sentences[:2])} {'; '.join(sentences[2:])}. Hindsight, which takes the "
        f"luckiest step of every image, would be {written(ceiling)} points above fixed."
    )
