"""Figures 5, 12 and 13: how concentrated the attention on visual tokens is in every layer."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from vzlib import results
from vzlib.evaluation import pictures
from vzlib.experiments.attention_by_layer.settings import AttentionByLayer
from vzlib.models.checkpoint import keyed

# Measure -> does it rise with concentration?
MEASURES = {
    "gini": True,
    "normalised entropy": False,
    "top 10 % share": True,
    "effective tokens": False,
}


def measure(settings: AttentionByLayer) -> pd.DataFrame:
    """Concentration of the attention on the patches, for every image and layer, stored.

    Columns: images, name, unit, rule ("cls": attention from the CLS token; "mean": mean over all
    queries), layer (from 1), read (is it the layer that the language model reads?), measure, value.
    Raises ValueError for a model or images that there are not.
    """
    return _stored("attention_by_layer", _measure, settings, {"count": settings.count})


def maps(settings: AttentionByLayer) -> pd.DataFrame:
    """Attention on every patch in every layer, for one image of each kind, stored.

    Columns: images, name, rule, layer, read, patch, weight. Raises ValueError as `measure` does.
    """
    return _stored("attention_by_layer_maps", _maps, settings, {"shown": settings.shown})


def _stored(
    experiment: str, function: Any, settings: AttentionByLayer, chosen: Mapping[str, Any]
) -> pd.DataFrame:
    pictures.check(settings.images)
    known = keyed(settings.model)
    tables = []
    for source in dict.fromkeys(settings.images):
        kind, seed = pictures.label(source), pictures.drawn(source, settings.seed)
        table = results.compute(
            experiment,
            {"images": kind, "seed": seed, **chosen},
            partial(function, settings.model, source),
            **known,
            data_version=pictures.version(source),
            about={"model": settings.model, "questions": kind},
        )
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _measure(name: str, source: str, point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.experiments.attention import every_layer
    from vzlib.models.load import loaded
    from vzlib.tokens import effective_tokens, gini, normalized_entropy, top_share

    model = loaded(name)
    functions = dict(
        zip(MEASURES, (gini, normalized_entropy, top_share, effective_tokens), strict=True)
    )
    chosen = pictures.pictures(source, point["count"], point["seed"])
    rows = [
        (point["images"], picture.name, picture.unit, rule, layer, layer == read, measure, value)
        for picture, rule, received, read in every_layer(model, chosen, point["images"])
        for measure, function in functions.items()
        for layer, value in enumerate(function(received).tolist(), start=1)
    ]
    columns = ["images", "name", "unit", "rule", "layer", "read", "measure", "value"]
    return pd.DataFrame(rows, columns=columns)


def _maps(name: str, source: str, point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.experiments.attention import every_layer
    from vzlib.models.load import loaded

    kind, number = point["images"], point["shown"]
    chosen = pictures.pictures(source, number + 1, point["seed"])[number:]
    rows = [
        (kind, picture.name, rule, layer, layer == read, patch, weight)
        for picture, rule, received, read in every_layer(loaded(name), chosen, f"map of {kind}")
        for layer, weights in enumerate(received.tolist(), start=1)
        for patch, weight in enumerate(weights)
    ]
    return pd.DataFrame(
        rows, columns=["images", "name", "rule", "layer", "read", "patch", "weight"]
    )
