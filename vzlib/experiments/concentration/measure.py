"""How concentrated attention is under every condition, image by image."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd
from torch import Tensor
from tqdm import tqdm

from vzlib import results
from vzlib.evaluation import pictures
from vzlib.evaluation.shape import shape_of
from vzlib.experiments.concentration.settings import Concentration
from vzlib.models.checkpoint import keyed

OF_576 = 576
BATCH = 8
OF_CONDITIONS = ("temperatures", "ablated", "registers", "neurons")
QUANTITIES = ("gini", "top", "cls", "elsewhere", "watched", "same")
COLUMNS = ["name", "unit", "condition", "rule", *QUANTITIES]


def point_of(settings: Concentration) -> dict[str, Any]:
    """What the conditions depend on. Raises ValueError if more is to be ablated than there is."""
    patches = shape_of(settings.model).visual
    ablated = max(1, round(settings.ablated * patches / OF_576))
    if ablated >= patches:
        raise ValueError(f"ablated={settings.ablated} must be below {OF_576}")
    point = settings.model_dump(mode="json", include={*OF_CONDITIONS, "images", "count", "seed"})
    return {**point, "ablated": ablated, "images": pictures.label(settings.images)}


def measure(settings: Concentration) -> pd.DataFrame:
    """The attention in the layer that is read, of every image under every condition.

    Columns: name, unit (of the image), condition, rule ("cls": the row of CLS; "mean": the mean of
    all queries), gini (of the patches), top (share of the patches' attention that a tenth of them
    has, percent), cls and elsewhere (share of all attention on the CLS token, and on registers,
    percent), watched (share of the patches' attention on the `ablated` patches that the stock tower
    attends to most, percent), same (percent of these that are still among as many most attended).
    Raises ValueError for a model or images that there are not, and as `point_of`.
    """
    pictures.check([settings.images])
    return results.compute(
        "concentration",
        point_of(settings),
        partial(_measure, settings.model, settings.images),
        **keyed(settings.model),
        data_version=pictures.version(settings.images),
        about={"model": settings.model, "questions": pictures.label(settings.images)},
    )


def _measure(name: str, source: str, point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.experiments.concentration import conditions, interventions, names
    from vzlib.models.load import loaded

    model, seed = loaded(name), point["seed"]
    chosen = pictures.pictures(source, point["count"], seed)
    batches = [chosen[start : start + BATCH] for start in range(0, len(chosen), BATCH)]
    sizes = (point["neurons"], point["ablated"], seed)
    neurons = conditions.register_neurons(model, batches, *sizes)
    always = conditions.whole(model, dict(point), neurons)
    always[names.UNTRAINED] = partial(interventions.untrained, model.tower, seed)
    rows: list[tuple[Any, ...]] = []
    for number, batch in enumerate(tqdm(batches, desc=point["images"], unit="batch")):
        watched = conditions.watch(model, batch, point["ablated"], seed + number)
        for condition, entered in (always | conditions.of_images(model, watched)).items():
            with entered():
                rows += _rows(model, batch, condition, watched.most)
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(model: Any, batch: Any, condition: str, most: Tensor) -> Iterator[tuple[Any, ...]]:
    from vzlib.experiments.attention import read_layer

    place = {picture.name: number for number, picture in enumerate(batch)}
    for picture, rule, received in read_layer(model, batch, model.layer, condition):
        told = _quantities(received, int(model.has_cls), most[place[picture.name]])
        yield (picture.name, picture.unit, condition, rule, *told)


def _quantities(received: Tensor, first: int, most: Tensor) -> tuple[float, ...]:
    """Those of QUANTITIES. received: [S], a share of all attention for each token."""
    from vzlib.tokens.concentration import gini, top_share

    patches = received[first:]
    ranked = patches.argsort(descending=True, stable=True)[: len(most)]
    cls = float(received[:first].sum())
    return (
        float(gini(patches)),
        100 * float(top_share(patches)),
        100 * cls,
        100 * (1 - cls - float(patches.sum())),
        100 * float(patches[most].sum() / patches.sum()),
        100 * len(set(ranked.tolist()) & set(most.tolist())) / len(most),
    )
