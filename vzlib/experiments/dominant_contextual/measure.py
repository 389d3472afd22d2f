"""Which choices in VisionZip matter: the split of its budget, and every other one, one at a time.

The paper has no such study. Everything is compared with the method as released: 54:10, CLS among
the dominant tokens, contextual tokens that add to their target, keys compared by cosine, targets by
a stride, attention of the layer that is read.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from vzlib import results
from vzlib.evaluation import questions
from vzlib.experiments.dominant_contextual.settings import DominantContextual
from vzlib.models.checkpoint import configuration, identity
from vzlib.statistics.comparison import QUESTION, holm, paired_difference, summary
from vzlib.tokens import BudgetError

RELEASED, ALL = "released", "all tokens"
SPLIT, SPLIT_PAPER, MERGE = "split", "split, paper rule", "merge rule"
LAYER = "layer"
FACTORS = (
    RELEASED, SPLIT, SPLIT_PAPER, MERGE, "compared", "similarity", "leftovers", "targets", "CLS",
    LAYER,
)  # fmt: skip
POOLED = 0  # stands among the totals for the mean over them


def measure(settings: DominantContextual) -> pd.DataFrame:
    """Answers of every variant at every total, stored factor by factor.

    Columns: total, factor, choice, dominant, contextual, merge, layer (the block, from 1, whose
    attention selects), and those of `vzlib.evaluation.evaluate.evaluate` without way. The totals
    are computed one after the other, so that a kill loses one at most.

    Raises BudgetError naming every total above the patches that there are, and ValueError for a
    model that there is not and for all that is wrong with a file of questions, before any model is
    loaded.
    """
    questions.check(settings.questions)
    vision = configuration(settings.model).vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    if above := [total for total in settings.totals if total > patches]:
        raise BudgetError(f"totals {above} must be at most {patches}, the patches of the tower")
    tables = [_stored(settings, patches, [ALL])]
    tables += [_stored(settings, total, FACTORS) for total in dict.fromkeys(settings.totals)]
    return pd.concat(tables, ignore_index=True)


def _stored(settings: DominantContextual, total: int, factors: Sequence[str]) -> pd.DataFrame:
    tables = results.compute_each(
        "dominant_contextual",
        [{"factor": factor, "total": total, "each": settings.each} for factor in factors],
        partial(_measure, settings.model, settings.questions),
        model_fingerprint=identity(settings.model),
        data_version=questions.version(settings.questions),
    )
    answers = [results.predictions(table) for table in tables]
    return pd.concat([rows for rows in answers if len(rows)], ignore_index=True)


def _measure(model: str, source: str, points: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Scores and answers for each of several points of one total."""
    from vzlib.evaluation.evaluate import cls_token, evaluate
    from vzlib.experiments.dominant_contextual.variants import choices, encode_by_layer
    from vzlib.models import load
    from vzlib.models.tower_parts import depth_of
    from vzlib.models.towers import encode

    loaded = load.loaded(model)
    read = depth_of(loaded.model.model.vision_tower, loaded.model.config.vision_feature_layer)
    total, each = points[0]["total"], points[0]["each"]
    found = [
        (point["factor"], choice, variant)
        for point in points
        for choice, variant in choices(loaded, point["factor"], total).items()
    ]
    has_cls = cls_token(loaded)
    ways = [variant.way(str(number), has_cls) for number, (*_, variant) in enumerate(found)]
    look = encode_by_layer if any(variant.layer for *_, variant in found) else encode
    rows = evaluate(loaded, ways, questions.read(source, each), look=look)
    number = rows.pop("way").astype(int)
    told = [
        (total, factor, choice, one.dominant, one.contextual, one.merge, one.layer or read)
        for factor, choice, one in found
    ]
    columns = ["total", "factor", "choice", "dominant", "contextual", "merge", "layer"]
    named = pd.DataFrame(told, columns=columns).loc[number].reset_index(drop=True)
    answers = pd.concat([named, rows], axis=1)
    own = [answers[answers["factor"] == point["factor"]] for point in points]
    return [(summary(one, columns), one) for one in own]


def curve(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy against the contextual tokens of a total, by both merge rules, and of all tokens.

    Columns: factor, total, merge, contextual, share (of the total), and those of
    `vzlib.statistics.comparison.summary`.
    """
    chosen = rows[rows["factor"].isin([ALL, RELEASED, SPLIT, SPLIT_PAPER, MERGE])]
    # Without contextual tokens there is nothing to merge: one measurement stands for both rules.
    alone = chosen[(chosen["factor"] == SPLIT) & (chosen["contextual"] == 0)]
    both = pd.concat([chosen, alone.assign(merge="paper")])
    table = summary(both, ["factor", "total", "merge", "contextual"])
    table.insert(4, "share", table["contextual"] / table["total"])
    return table.sort_values(["total", "merge", "contextual"], kind="stable", ignore_index=True)


def differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Percentage points by which each choice is better than the released one, largest first.

    Paired on the same questions, images as units; for each total, and for their mean (total
    POOLED, where a question counts once with its mean score over the totals).

    Columns: total, factor, choice, layer, value, low, high (95 %), p (two-sided), holm (p corrected
    for all comparisons at this total), n (questions).
    """
    totals = rows.loc[rows["factor"] != ALL, "total"].unique()
    return pd.concat([_differences(rows, total) for total in (POOLED, *totals)], ignore_index=True)


def by_task(rows: pd.DataFrame) -> pd.DataFrame:
    """As `differences`, pooled over the totals, for the questions of each task alone.

    Columns: task, and those of `differences` (holm: corrected within the task).
    """
    tables = [
        _differences(own, POOLED).assign(task=task)
        for task, own in rows.groupby("task", sort=False)
    ]
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "task", table.pop("task"))
    return table


def _differences(rows: pd.DataFrame, total: int) -> pd.DataFrame:
    own = rows[rows["factor"].isin(FACTORS) & (rows["factor"] != SPLIT_PAPER)]
    own = own if total == POOLED else own[own["total"] == total]
    keys = ["factor", "choice", "layer"]
    # Numbers in place of names, which would be slow to sort.
    numbers = {name: pd.factorize(own[name])[0] for name in QUESTION}
    numbered = own[[*keys, "score"]].assign(**numbers, way=own.groupby(keys, sort=False).ngroup())
    ways = numbered.drop_duplicates("way").set_index("way")[keys]
    (released,) = ways.index[ways["factor"] == RELEASED]
    ways = ways.drop(index=released)
    gains = [paired_difference(numbered, way, released)._asdict() for way in ways.index]
    table = pd.concat([ways.reset_index(drop=True), pd.DataFrame(gains)], axis=1)
    table.insert(0, "total", total)
    table.insert(8, "holm", holm(table["p"].to_numpy()))
    return table.sort_values("value", key=abs, ascending=False, kind="stable", ignore_index=True)
