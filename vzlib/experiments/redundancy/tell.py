"""What the weights of 01_redundancy say: how uneven the attention is, with 95 % intervals."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from vzlib.evaluation.pictures import pictures
from vzlib.experiments.redundancy.measure import CLS
from vzlib.experiments.redundancy.settings import Redundancy
from vzlib.statistics import intervals

SHARE = 0.9  # of the attention that counts as almost all
PER_DECADE = 8  # bins of the histogram
LEAST = 0.005  # of the weights may lie below the first bin, and are counted in it


class Weights(NamedTuple):
    """What the patches of N images receive under one rule."""

    images: str
    rule: str
    units: np.ndarray  # [N] which images resemble each other
    patches: np.ndarray  # [N, P] shares of the attention on patches, each row sums to 1
    cls: np.ndarray  # [N] share of all attention that the CLS token receives, 0 without CLS


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
) -> tuple[
    dict[str, np.ndarray],
    dict[str, list[np.ndarray]],
    dict[str, list[str]],
    dict[str, np.ndarray],
]:
    """The first images of each kind by name, with their maps [G, G] and a note on each, by rule;
    and the subject [P, P] of those photographs of which it is known.
    """
    subjects: dict[str, np.ndarray] = {}
    shown: dict[str, np.ndarray] = {}
    maps: dict[str, list[np.ndarray]] = {}
    notes: dict[str, list[str]] = {}
    k = min(settings.dominant)
    for source in dict.fromkeys(settings.images):
        chosen = pictures(source, min(each, settings.count), settings.seed)
        shown |= {picture.name: picture.image for picture in chosen}
        if source not in ("scenes", "things"):
            subjects |= {one.name: one.subject for one in chosen if one.subject is not None}
    for entry in weights(rows):
        grid = math.isqrt(entry.patches.shape[1])
        for shares in entry.patches[:each]:
            held = np.sort(shares)[-k:].sum()
            maps.setdefault(entry.rule, []).append(shares.reshape(grid, grid))
            notes.setdefault(entry.rule, []).append(f"{k} hold {held:.0%}")
    return shown, maps, notes, subjects


def histogram(rows: pd.DataFrame) -> pd.DataFrame:
    """Percent of the patches whose weight lies in a bin, an even share being 1.

    Columns: images, rule, low, high, percent; the outer bins hold what lies beyond them.
    """
    patches = rows[rows["patch"] >= 0]
    even = patches.groupby(["images", "rule", "name"])["weight"].transform("mean")
    relative = patches["weight"] / even
    bins = _bins(relative.to_numpy())
    found = []
    for key, weights in relative.groupby([patches["images"], patches["rule"]], sort=False):
        counts, _ = np.histogram(np.clip(weights.to_numpy(), bins[0], bins[-1]), bins)
        percent = 100 * counts / counts.sum()
        found += [(*key, *bin) for bin in zip(bins, bins[1:], percent, strict=False)]
    return pd.DataFrame(found, columns=["images", "rule", "low", "high", "percent"])


def _bins(relative: np.ndarray) -> np.ndarray:
    """Edges that are even on a log scale, between whole powers of ten."""
    low = np.floor(np.log10(max(np.quantile(relative, LEAST), 1e-9)))
    high = np.ceil(np.log10(relative.max()))
    return np.logspace(low, high, int(high - low) * PER_DECADE + 1)
