"""How many questions a model answers right under a method and a budget."""

from collections.abc import Sequence

import pandas as pd

from vzlib import scenes
from vzlib.evaluation.evaluate import Way, evaluate
from vzlib.evaluation.questions import of_scenes
from vzlib.methods.registry import method
from vzlib.models.load import Loaded
from vzlib.tokens import BudgetError


def answers(
    loaded: Loaded,
    points: Sequence[tuple[str, int]],
    *,
    each: int,
    split: scenes.Split = "test",
    deck: str = "scenes",
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """One row per method, budget and question about scenes: was it answered right?

    points: (method, tokens retained), of reductions before the language model.
    each: questions per task; one question of a task per scene, so that they are independent.
    deck: of the scenes, "scenes" or "things".
    seed: of the random choices of the methods; the questions are the same for every seed.

    Columns: method, retained, task, image, question, answer, score. Raises ValueError for an
    unknown method and BudgetError for an impossible budget, before any scene is made.
    """
    ways, count = [], loaded.patches
    for number, (name, retain) in enumerate(points):
        if not 1 <= retain <= count:
            raise BudgetError(f"retain={retain} must be between 1 and {count} patches")
        ways.append(Way(str(number), method(name, "before"), retain))
    rows = evaluate(loaded, ways, of_scenes(each, split, deck), seed=seed, progress=progress)
    point = rows.pop("way").astype(int)
    rows.insert(0, "method", [points[number][0] for number in point])
    rows.insert(1, "retained", [points[number][1] for number in point])
    return rows.drop(columns=["at_input", "average"])
