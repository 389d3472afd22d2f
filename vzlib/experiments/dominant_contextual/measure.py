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
from vzlib.experiments.answers import by_task, identified
from vzlib.experiments.dominant_contextual.settings import DominantContextual
from vzlib.models.checkpoint import configuration
from vzlib.tokens import BudgetError

RELEASED, ALL = "released", "all tokens"
SPLIT, SPLIT_PAPER, MERGE = "split", "split, paper rule", "merge rule"
LAYER = "layer"
FACTORS = (
    RELEASED, SPLIT, SPLIT_PAPER, MERGE, "compared", "similarity", "leftovers", "targets", "CLS",
    LAYER,
)  # fmt: skip


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
    known = identified(settings)
    points = {patches: [ALL]} | dict.fromkeys(settings.totals, FACTORS)
    answers = []
    for total, factors in points.items():
        found = results.compute_each(
            "dominant_contextual",
            [{"factor": factor, "total": total, "each": settings.each} for factor in factors],
            partial(_measure, settings.model, settings.questions),
            **known,
        )
        answers += [results.predictions(table) for table in found]
    return pd.concat([rows for rows in answers if len(rows)], ignore_index=True)


def _measure(model: str, source: str, points: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Scores and answers for each of several points of one total."""
    from vzlib.evaluation.evaluate import Way, evaluate
    from vzlib.experiments.dominant_contextual.variants import choices
    from vzlib.models import load
    from vzlib.models.tower_parts import depth_of

    loaded = load.loaded(model)
    read = depth_of(loaded.tower, loaded.layer)
    total, each = points[0]["total"], points[0]["each"]
    found = [
        (point["factor"], choice, variant)
        for point in points
        for choice, variant in choices(loaded, point["factor"], total).items()
    ]
    ways = [Way(str(number), *variant) for number, (*_, variant) in enumerate(found)]
    rows = evaluate(loaded, ways, questions.read(source, each), remember=True)
    number = rows.pop("way").astype(int)
    told = []
    for factor, choice, (one, retain) in found:
        budget = one.budget(retain, loaded.has_cls)
        counts = (budget.dominant, budget.contextual)
        told.append((total, factor, choice, *counts, one.merge, one.layer or read))
    columns = ["total", "factor", "choice", "dominant", "contextual", "merge", "layer"]
    named = pd.DataFrame(told, columns=columns).loc[number].reset_index(drop=True)
    answers = pd.concat([named, rows], axis=1)
    own = [answers[answers["factor"] == point["factor"]] for point in points]
    return [(by_task(one, columns), one) for one in own]
