"""What the changes of the tower do to answers, and whether the tower's CLS token is needed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
from torch import Tensor

from vzlib import results
from vzlib.evaluation import pictures, questions
from vzlib.experiments.answers import by_task, identified
from vzlib.experiments.concentration import measure as attention
from vzlib.experiments.concentration.names import BY_MEAN, RANDOM, STOCK, VANILLA, ZIPPED
from vzlib.experiments.concentration.settings import Concentration
from vzlib.methods.before import Further
from vzlib.methods.visionzip import VisionZip
from vzlib.tokens import BudgetError


@dataclass(frozen=True)
class ByColumnMean(VisionZip):
    """VisionZip as for an encoder without CLS (Algorithm 3): CLS neither rates nor stays.

    layer: the block, from 1, whose attention rates.
    """

    cls: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        return ("received_from_all",)

    def _scores(self, further: Further) -> Tensor:
        received = further.received_from_all
        assert received is not None and self.layer is not None
        return received[:, self.layer - 1]


def measure(settings: Concentration) -> pd.DataFrame:
    """Answers with all tokens and with VisionZip's, under every condition that is the same for all
    images; and, in the stock tower, with tokens by the column mean and with random ones.

    Columns: condition, method, and those of `vzlib.evaluation.evaluate.evaluate` without way.
    Raises ValueError for all that is wrong with the questions and for more tokens than there are.
    """
    questions.check(settings.questions)
    point = attention.point_of(settings)
    patches = attention.shape_of(settings.model).visual
    if settings.retain >= patches:
        raise BudgetError(f"retain={settings.retain} must be below {patches}, the patches")
    table = results.compute(
        "concentration_answers",
        {**point, "each": settings.each, "retain": settings.retain},
        partial(_measure, settings.model, settings.questions, settings.images),
        uses=("vzlib.methods.random", "vzlib.methods.vanilla"),
        **_with_images(settings),
    )
    return results.predictions(table)


def _with_images(settings: Concentration) -> dict[str, Any]:
    """Model and data; the images are those by which neurons are chosen."""
    known = identified(settings)
    version = f"{known['data_version']}, images {pictures.version(settings.images)}"
    return {**known, "data_version": version}


def _measure(model: str, source: str, images: str, point: Mapping[str, Any]) -> tuple[Any, Any]:
    from vzlib.evaluation.evaluate import Way, evaluate
    from vzlib.experiments.concentration import conditions
    from vzlib.methods.registry import method
    from vzlib.models import load
    from vzlib.models.tower_parts import depth_of

    loaded, retain = load.loaded(model), point["retain"]
    chosen = pictures.pictures(images, point["count"], point["seed"])
    batches = [chosen[at : at + attention.BATCH] for at in range(0, len(chosen), attention.BATCH)]
    sizes = (point["neurons"], point["ablated"], point["seed"])
    neurons = conditions.register_neurons(loaded, batches, *sizes)
    by_mean = ByColumnMean(layer=depth_of(loaded.tower, loaded.layer))
    both = [Way(VANILLA, method(VANILLA), loaded.patches), Way(ZIPPED, method(ZIPPED), retain)]
    further = [Way(BY_MEAN, by_mean, retain), Way(RANDOM, method(RANDOM), retain)]
    asked, tables = list(questions.read(source, point["each"])), []
    for condition, entered in conditions.whole(loaded, dict(point), neurons).items():
        stock = condition == STOCK
        with entered():  # what another tower saw must not be remembered
            rows = evaluate(
                loaded, [*both, *further] if stock else both, asked,
                seed=point["seed"], remember=stock,
            )  # fmt: skip
        tables.append(rows.assign(condition=condition).rename(columns={"way": "method"}))
    answers = pd.concat(tables, ignore_index=True)
    return by_task(answers, ["condition", "method"]), answers
