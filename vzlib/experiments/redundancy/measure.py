"""Figures 2 and 9-11: how much attention each visual token receives at the layer that is read."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from vzlib import results
from vzlib.evaluation import pictures
from vzlib.experiments.redundancy.settings import Redundancy
from vzlib.models.checkpoint import keyed

CLS = -1  # in the column "patch"


def measure(settings: Redundancy) -> pd.DataFrame:
    """Attention received by every token of every image, from the store where it is known.

    Columns: images, name, unit, rule ("cls": attention from the CLS token; "mean": mean over all
    queries), patch (-1 for the CLS token), weight (a share of all attention).
    Raises ValueError for a model, layer or images that there are not, and for more dominant tokens
    than there are patches.
    """
    pictures.check(settings.images)
    known = keyed(settings.model)
    tables = []
    for source in dict.fromkeys(settings.images):
        point = {"images": pictures.label(source), "count": settings.count}
        point |= {"layer": settings.layer, "seed": pictures.drawn(source, settings.seed)}
        table = results.compute(
            "redundancy",
            point,
            partial(_measure, settings.model, source, settings.dominant),
            **known,
            data_version=pictures.version(source),
            about={"model": settings.model, "questions": point["images"]},
        )
        _check(settings.dominant, int(table["patch"].max()) + 1)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _check(dominant: Sequence[int], patches: int) -> None:
    if max(dominant) > patches:
        raise ValueError(
            f"dominant={list(dominant)}: allowed are 1 to {patches}, the patches of an image"
        )


def _measure(
    name: str, source: str, dominant: Sequence[int], point: Mapping[str, Any]
) -> pd.DataFrame:
    from vzlib.experiments.attention import read_layer
    from vzlib.models.load import loaded

    model = loaded(name)
    _check(dominant, model.patches)
    kind, tables = point["images"], []
    first = CLS if model.has_cls else 0
    chosen = pictures.pictures(source, point["count"], point["seed"])
    for picture, rule, received in read_layer(model, chosen, point["layer"], kind):
        columns = {
            "images": kind,
            "name": picture.name,
            "unit": picture.unit,
            "rule": rule,
            "patch": np.arange(first, first + len(received)),
            "weight": received.numpy(),
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)
