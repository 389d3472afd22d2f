"""Table 5: does a text-guided selector lose with the tokens that the encoder attends to (Ex1), and
gain if it is offered nothing else (Ex2)?

Besides the paper's three conditions, as many random patches are removed or offered, which tells
which tokens from how many; and of every token that is kept it is known where it came from.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from vzlib import results
from vzlib.evaluation import questions
from vzlib.evaluation.shape import shape_of
from vzlib.experiments.answers import by_task, identified
from vzlib.experiments.misalignment_ablation.settings import MisalignmentAblation

CONDITIONS = ("baseline", "ex1", "ex1 random", "ex2", "ex2 zipped", "ex2 random")
ALONE = "nothing"  # instead of a selector: reductions before the language model alone
BEFORE = ("visionzip", "random")


def counts(settings: MisalignmentAblation) -> dict[str, int]:
    """Patches removed, offered and kept on this model.

    Raises ValueError if they do not fit, or if a selector does not fit the language model; loads
    no weights.
    """
    from vzlib.experiments.misalignment_ablation.conditions import inside
    from vzlib.methods.inside.schedule import PUBLISHED as shape
    from vzlib.methods.inside.schedule import scaled_count

    whole = shape_of(settings.model)
    chosen = {
        name: scaled_count(getattr(settings, name), shape, whole.visual)
        for name in ("removed", "offered", "kept")
    }
    for selector in settings.selectors:
        inside(selector, chosen["kept"], whole.visual, whole)
    return chosen


def measure(settings: MisalignmentAblation) -> pd.DataFrame:
    """Every question under every condition, stored seed by seed, so that a kill loses one at most.

    Columns: task, image, question, answer, score, at_input, average (visual tokens, as in
    `vzlib.evaluation.evaluate.evaluate`), by_layer (visual tokens that enter each layer),
    selector ("nothing" for reductions before the language model alone), condition, seed, dominant
    (percent of the kept tokens that are among the `kept` patches which the encoder attends to
    most), chance (the same among all that were offered), covered (percent of the objects asked
    about of which a kept token covers a patch; missing where no object is known).

    What draws nothing runs with the first seed alone. Raises ValueError for a model or questions
    that there are not, and as `counts` does, before a model is loaded.
    """
    questions.check(settings.questions)
    chosen, known = counts(settings), identified(settings)
    tables = []
    for number, seed in enumerate(dict.fromkeys(settings.seeds)):
        points: list[dict[str, Any]] = [
            {"selector": selector, "condition": condition, "seed": seed, **chosen}
            | {"each": settings.each}
            for selector, condition in _ways(settings)
            if number == 0 or selector == "sparsevlm" or condition.endswith("random")
        ]
        found = results.compute_each(
            "misalignment_ablation",
            points,
            partial(_measure, settings.model, settings.questions),
            **known,
        )
        for point, table in zip(points, found, strict=True):
            named = {name: point[name] for name in ("selector", "condition", "seed")}
            tables.append(results.predictions(table).assign(**named))
    return pd.concat(tables, ignore_index=True)


def _ways(settings: MisalignmentAblation) -> list[tuple[str, str]]:
    """Selector and condition, those with the same condition beside each other."""
    selectors = dict.fromkeys(settings.selectors)
    ways = [(selector, condition) for condition in CONDITIONS for selector in selectors]
    return [*ways, *((ALONE, condition) for condition in BEFORE)]


def _measure(model: str, source: str, points: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Points of one seed."""
    from vzlib.evaluation.evaluate import Way, judged
    from vzlib.experiments.misalignment_ablation.conditions import inside, offer
    from vzlib.models import load

    loaded, whole = load.loaded(model), shape_of(model)
    cls, first = int(loaded.has_cls), points[0]
    sizes = {name: first[name] for name in ("removed", "offered", "kept")}
    ways = []
    for point in points:
        selector, condition = point["selector"], point["condition"]
        method, visual = offer(condition, patches=whole.visual, **sizes)
        selects = None if selector == ALONE else inside(selector, first["kept"], visual, whole)
        ways.append(Way(f"{selector}, {condition}", method, visual, selects))
    found: list[list[Any]] = [[] for _ in points]
    asked = questions.read(source, first["each"])
    for images, encoded, verdicts in judged(loaded, ways, asked, seed=first["seed"], remember=True):
        dominant = ranked(encoded, first["kept"], cls)
        for rows, by_image in zip(found, verdicts, strict=True):
            for image, own, most in zip(images, by_image, dominant, strict=True):
                rows += traced(image, own, most, cls, whole.visual)
    columns = [
        "task", "image", "question", "answer", "score", "at_input", "average", "by_layer",
        "dominant", "chance", "covered",
    ]  # fmt: skip
    tables = [pd.DataFrame(rows, columns=columns) for rows in found]
    return [(by_task(table), table) for table in tables]


def ranked(encoded: Any, kept: int, cls: int) -> np.ndarray:
    """The `kept` most attended patches of each image [B, kept], as indices of the tower's tokens.

    cls: how many tokens come before the patches.
    """
    scores = encoded.scores[:, cls:].cpu()
    return (scores.argsort(dim=1, descending=True, stable=True)[:, :kept] + cls).numpy()


def traced(
    asked: Any, verdicts: Sequence[Any], dominant: np.ndarray, cls: int, patches: int
) -> Iterator[tuple[Any, ...]]:
    """A row per question about one image.

    dominant: the most attended of the tower's tokens. cls: how many come before the patches.
    """
    for question, one in zip(asked.questions, verdicts, strict=True):
        offered, kept = (one.places[layer].cpu().numpy() for layer in (0, -1))
        offered, kept = offered[offered >= cls], kept[kept >= cls]
        ((answer, _),) = Counter(question.answers).most_common(1)
        yield (
            question.task,
            asked.name,
            question.text,
            answer,
            one.score,
            one.counts[0],
            sum(one.counts) / len(one.counts),
            "/".join(map(str, one.counts)),
            100 * np.isin(kept, dominant).mean(),
            100 * np.isin(offered, dominant).mean(),
            _covered(asked, question, kept - cls, patches),
        )


def _covered(asked: Any, question: Any, kept: np.ndarray, patches: int) -> float:
    if asked.scene is None or not question.objects:
        return float("nan")
    size = asked.scene.image.shape[0] // round(patches**0.5)
    masks = (asked.scene.object_patches(number, size) for number in question.objects)
    return 100 * float(np.mean([mask.ravel()[kept].any() for mask in masks]))
