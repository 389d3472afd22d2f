"""Figures 2 and 9-11: how much attention each visual token receives at the layer that is read."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from vzlib import results, scenes
from vzlib.experiments.redundancy.settings import Redundancy
from vzlib.models.checkpoint import identity
from vzlib.scenes.pictures import pictures

CLS = -1  # in the column "patch"


def measure(settings: Redundancy) -> pd.DataFrame:
    """Attention received by every token of every image, from the store where it is known.

    Columns: images, name, unit, rule ("cls": attention from the CLS token; "mean": mean over all
    queries), patch (-1 for the CLS token), weight (a share of all attention).
    Raises ValueError for a model or layer that there is not, and for more dominant tokens than
    there are patches.
    """
    model = identity(settings.model)
    tables = []
    for kind in dict.fromkeys(settings.images):
        point = {"images": kind, "count": settings.count, "layer": settings.layer}
        point["seed"] = settings.seed if kind == "photographs" else 0  # scenes have none
        table = results.compute(
            "redundancy",
            point,
            partial(_measure, settings.model, settings.dominant),
            model_fingerprint=model,
            data_version=str(scenes.VERSION),
            about={"model": settings.model, "questions": kind},
        )
        _check(settings.dominant, int(table["patch"].max()) + 1)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _check(dominant: Sequence[int], patches: int) -> None:
    if max(dominant) > patches:
        raise ValueError(
            f"dominant={list(dominant)}: allowed are 1 to {patches}, the patches of an image"
        )


def _measure(name: str, dominant: Sequence[int], point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.experiments.attention import read_layer
    from vzlib.models.load import loaded

    model = loaded(name)
    _check(dominant, model.patches)
    kind, tables = point["images"], []
    first = CLS if model.has_cls else 0
    chosen = pictures(kind, point["count"], point["seed"])
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
