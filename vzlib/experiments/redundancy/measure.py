"""Figures 2 and 9-11: how much attention each visual token receives at the layer that is read."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from vzlib import results, scenes
from vzlib.experiments.redundancy.settings import Redundancy
from vzlib.models.checkpoint import identity
from vzlib.scenes.pictures import pictures
from vzlib.statistics import intervals

CLS = -1  # in the column "patch"
SHARE = 0.9  # of the attention that counts as almost all


class Weights(NamedTuple):
    """What the patches of N images receive under one rule."""

    images: str
    rule: str
    units: np.ndarray  # [N] which images resemble each other
    patches: np.ndarray  # [N, P] shares of the attention on patches, each row sums to 1
    cls: np.ndarray  # [N] share of all attention that the CLS token receives, 0 without CLS


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
        )
        _check(settings.dominant, int(table["patch"].max()) + 1)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _check(dominant: Sequence[int], patches: int) -> None:
    if max(dominant) > patches:
        raise ValueError(
            f"dominant={list(dominant)}: allowed are 1 to {patches}, the patches of an image"
        )


def _measure(model: str, dominant: Sequence[int], point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.experiments.attention import patch_count, read_layer, with_cls

    _check(dominant, patch_count(model))
    kind, tables = point["images"], []
    first = CLS if with_cls(model) else 0
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


def weights(rows: pd.DataFrame) -> Iterator[Weights]:
    """The rows of `measure` as arrays, one entry per kind of images and rule."""
    for (kind, rule), group in rows.groupby(["images", "rule"], sort=False):
        units = group.drop_duplicates("name")["unit"].to_numpy(dtype=str)
        received = group["weight"].to_numpy(dtype=float).reshape(len(units), -1)
        with_cls = bool(group["patch"].iloc[0] == CLS)
        patches = received[:, int(with_cls) :]
        shares = patches / patches.sum(axis=1, keepdims=True)
        cls = received[:, 0] if with_cls else np.zeros(len(units))
        yield Weights(str(kind), str(rule), units, shares, cls)


def summary(rows: pd.DataFrame, settings: Redundancy) -> pd.DataFrame:
    """Mean over images of what says how uneven the attention is, with 95 % intervals.

    Columns: images, rule, quantity, value, low, high, even (the value were all patches alike), n
    (images), units (photographs or scenes that were resampled).
    """
    found = []
    for entry in weights(rows):
        for quantity, (values, even) in _quantities(entry, settings).items():
            interval = intervals.mean_over(values, entry.units)
            n, units = len(values), len(set(entry.units))
            found.append((entry.images, entry.rule, quantity, *interval, even, n, units))
    columns = ["images", "rule", "quantity", "value", "low", "high", "even", "n", "units"]
    return pd.DataFrame(found, columns=columns)


def _quantities(entry: Weights, settings: Redundancy) -> dict[str, tuple[np.ndarray, float]]:
    """Of each image [N], in percent or tokens, with the value for even attention."""
    shares, count = entry.patches, entry.patches.shape[1]
    held = np.cumsum(-np.sort(-shares, axis=1), axis=1)
    largest = shares.max(axis=1, keepdims=True)
    near, even = settings.near_zero, 1 / count
    found = {
        f"tokens below {near:g} of the largest weight, %": (
            100 * (shares < near * largest).mean(1),
            0.0,
        ),
        f"tokens below {near:g} of an even share, %": (100 * (shares < near * even).mean(1), 0.0),
    }
    for k in settings.dominant:
        found[held_by(k)] = (100 * held[:, k - 1], 100 * k * even)
    enough = 1 + (held < SHARE - 1e-9).sum(1)
    found[f"tokens that hold {SHARE:.0%} of the attention"] = (enough, np.ceil(SHARE * count))
    found["attention on the CLS token itself, %"] = (100 * entry.cls, 100 / (count + 1))
    return found


def held_by(k: int) -> str:
    return f"attention held by the {k} dominant tokens, %"


def cumulative(rows: pd.DataFrame) -> pd.DataFrame:
    """Share of attention held by the k most attended tokens, for every k, with 95 % intervals.

    Columns: images, rule, tokens, value, low, high (percent).
    """
    curves = []
    for entry in weights(rows):
        held = 100 * np.cumsum(-np.sort(-entry.patches, axis=1), axis=1)
        value, low, high = intervals.band(held, entry.units)
        curves.append(
            pd.DataFrame(
                {
                    "images": entry.images,
                    "rule": entry.rule,
                    "tokens": np.arange(1, held.shape[1] + 1),
                    "value": value,
                    "low": low,
                    "high": high,
                }
            )
        )
    return pd.concat(curves, ignore_index=True)


def examples(
    rows: pd.DataFrame, settings: Redundancy, each: int = 4
) -> tuple[dict[str, np.ndarray], dict[str, list[np.ndarray]], dict[str, list[str]]]:
    """The first images of each kind by name, with their maps [G, G] and a note on each, by rule."""
    shown: dict[str, np.ndarray] = {}
    maps: dict[str, list[np.ndarray]] = {}
    notes: dict[str, list[str]] = {}
    k = min(settings.dominant)
    for kind in dict.fromkeys(settings.images):
        chosen = pictures(kind, min(each, settings.count), settings.seed)
        shown |= {picture.name: picture.image for picture in chosen}
    for entry in weights(rows):
        grid = math.isqrt(entry.patches.shape[1])
        for shares in entry.patches[:each]:
            held = np.sort(shares)[-k:].sum()
            maps.setdefault(entry.rule, []).append(shares.reshape(grid, grid))
            notes.setdefault(entry.rule, []).append(f"{k} hold {held:.0%}")
    return shown, maps, notes
