"""Figures 5, 12 and 13: how concentrated the attention on visual tokens is in every layer."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from vzlib import results, scenes
from vzlib.experiments import intervals, verdict
from vzlib.experiments.checkpoint import identity
from vzlib.experiments.images import pictures
from vzlib.experiments.settings import AttentionByLayer

# Measure -> does it rise with concentration?
MEASURES = {
    "gini": True,
    "normalised entropy": False,
    "top 10 % share": True,
    "effective tokens": False,
}
MIDDLE = 2 / 3  # of the layers: where the middle third ends
SUDDEN = 0.5  # part of the whole rise that one layer must bring to be called sudden


def measure(settings: AttentionByLayer) -> pd.DataFrame:
    """Concentration of the attention on the patches, for every image and layer, stored.

    Columns: images, name, unit, rule ("cls": attention from the CLS token; "mean": mean over all
    queries), layer (from 1), read (is it the layer that the language model reads?), measure, value.
    Raises ValueError for a model that there is not.
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
    model = identity(settings.model)
    tables = []
    for kind in dict.fromkeys(settings.images):
        seed = settings.seed if kind == "photographs" else 0  # scenes have none
        table = results.compute(
            experiment,
            {"images": kind, "seed": seed, **chosen},
            partial(function, settings.model),
            model_fingerprint=model,
            data_version=str(scenes.VERSION),
        )
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _measure(model: str, point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.experiments.tower import every_layer
    from vzlib.tokens import effective_tokens, gini, normalized_entropy, top_share

    functions = dict(
        zip(MEASURES, (gini, normalized_entropy, top_share, effective_tokens), strict=True)
    )
    chosen = pictures(point["images"], point["count"], point["seed"])
    rows = [
        (point["images"], picture.name, picture.unit, rule, layer, layer == read, name, value)
        for picture, rule, received, read in every_layer(model, chosen, point["images"])
        for name, function in functions.items()
        for layer, value in enumerate(function(received).tolist(), start=1)
    ]
    columns = ["images", "name", "unit", "rule", "layer", "read", "measure", "value"]
    return pd.DataFrame(rows, columns=columns)


def _maps(model: str, point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.experiments.tower import every_layer

    kind, number = point["images"], point["shown"]
    chosen = pictures(kind, number + 1, point["seed"])[number:]
    rows = [
        (kind, picture.name, rule, layer, layer == read, patch, weight)
        for picture, rule, received, read in every_layer(model, chosen, f"map of {kind}")
        for layer, weights in enumerate(received.tolist(), start=1)
        for patch, weight in enumerate(weights)
    ]
    return pd.DataFrame(
        rows, columns=["images", "name", "rule", "layer", "read", "patch", "weight"]
    )


def profile(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over images of every measure in every layer, with its 95 % interval.

    Columns: images, rule, measure, layer, read, value, low, high, n (images), units (photographs or
    scenes that were resampled).
    """
    found = []
    for (kind, rule, name), group in rows.groupby(["images", "rule", "measure"], sort=False):
        values, units, read = _by_image(group)
        for layer, bounds in enumerate(intervals.band(values, units).T, start=1):
            n = (len(units), len(np.unique(units)))
            found.append((kind, rule, name, layer, layer == read, *bounds, *n))
    columns = ["images", "rule", "measure", "layer", "read", "value", "low", "high", "n", "units"]
    return pd.DataFrame(found, columns=columns)


def _by_image(group: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, int]:
    """Values [N, L], units [N] and the layer read, of one kind of images, rule and measure."""
    wide = group.pivot(index="name", columns="layer", values="value")
    units = group.drop_duplicates("name").set_index("name")["unit"]
    read = int(group.loc[group["read"], "layer"].iloc[0])
    return wide.to_numpy(), units[wide.index].to_numpy(dtype=str), read


def verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    """Claims C03 to C05 by every measure, from differences between layers of the same images.

    C03 broad, then sudden: at the end of the middle third of the layers attention is more
        concentrated than in the first, and one layer up to there brings at least half of the rise
        from the first to the peak.
    C04 peak: no layer is as concentrated as the one that is read.
    C05 dispersed at the end: the last layer is less concentrated than the one that is read.

    Differences count towards concentration: + is more concentrated, also for entropy.
    Columns: claim, images, rule, measure, verdict, sentence.
    """
    found = []
    for (kind, rule, name), group in rows.groupby(["images", "rule", "measure"], sort=False):
        values, units, read = _by_image(group)
        rising = values if MEASURES[str(name)] else -values
        for claim, function in (("C03", _sudden), ("C04", _peak), ("C05", _dispersed)):
            decision, why = function(rising, units, read)
            found.append((claim, kind, rule, name, decision, f"{decision}: {why}"))
    columns = ["claim", "images", "rule", "measure", "verdict", "sentence"]
    return pd.DataFrame(found, columns=columns)


def _difference(
    values: np.ndarray, units: np.ndarray, one: int, other: int
) -> tuple[intervals.Interval, str]:
    """How much more concentrated layer `one` is than `other`, and that in words."""
    interval = intervals.mean_over(values[:, one - 1] - values[:, other - 1], units)
    return interval, (
        f"layer {one} minus layer {other} {interval.value:+.3g} "
        f"[{interval.low:+.3g}, {interval.high:+.3g}]"
    )


def _sudden(values: np.ndarray, units: np.ndarray, read: int) -> tuple[str, str]:
    middle = math.ceil(values.shape[1] * MIDDLE)
    interval, text = _difference(values, units, middle, 1)
    decision = verdict.above(interval, 0)
    if decision == verdict.FOUND:
        means = values.mean(0)
        steps = np.diff(means[:middle])
        share = steps.max() / (means.max() - means[0])
        text += f"; layer {steps.argmax() + 2} alone brings {share:.0%} of the rise to the peak"
        decision = verdict.FOUND if share >= SUDDEN else verdict.NOT_FOUND
    return decision, text


def _peak(values: np.ndarray, units: np.ndarray, read: int) -> tuple[str, str]:
    means = values.mean(0)
    others = means.copy()
    others[read - 1] = -np.inf
    rival = int(others.argmax()) + 1
    interval, text = _difference(values, units, read, rival)
    peak = read if means[read - 1] >= others.max() else rival
    return verdict.above(interval, 0), f"the peak is layer {peak}, the layer read is {read}; {text}"


def _dispersed(values: np.ndarray, units: np.ndarray, read: int) -> tuple[str, str]:
    last = values.shape[1]
    if last == read:
        return verdict.UNDECIDED, f"the last layer, {last}, is the one that is read"
    interval, text = _difference(values, units, read, last)
    return verdict.above(interval, 0), text


def examples(
    rows: pd.DataFrame, settings: AttentionByLayer, columns: int = 6
) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Image and maps [G, G] of some layers by name, for the image of each kind in `maps`.

    The layers are spread evenly over the tower, with the first, the one that is read and the last
    among them. The rule is that by which the method selects: "cls" where there is a CLS token.
    """
    rule, layers = rows["rule"].iloc[0], int(rows["layer"].max())
    read = int(rows.loc[rows["read"], "layer"].iloc[0])
    chosen = sorted({*np.linspace(1, layers, columns - 1).round().astype(int).tolist(), read})
    found = {}
    for kind in dict.fromkeys(settings.images):
        picture = pictures(kind, settings.shown + 1, settings.seed)[-1]
        own = rows[(rows["images"] == kind) & (rows["rule"] == rule)]
        grid = math.isqrt(int(own["patch"].max()) + 1)
        maps = {}
        for layer in chosen:
            weights = own.loc[own["layer"] == layer, "weight"].to_numpy()
            note = " (read)" if layer == read else ""
            maps[f"layer {layer}{note}"] = weights.reshape(grid, grid)
        found[picture.name] = (picture.image, maps)
    return found


def conclusion(table: pd.DataFrame) -> str:
    """One sentence per kind of images on whether the profile follows the paper, from `verdicts`.

    By the Gini coefficient and by the rule with which the method selects.
    """
    rule = table["rule"].iloc[0]
    chosen = table[(table["measure"] == "gini") & (table["rule"] == rule)]
    sentences = []
    for kind, group in chosen.groupby("images", sort=False):
        by_claim = group.set_index("claim")["verdict"]
        found = (by_claim == verdict.FOUND).sum()
        outcome = {0: "not found", len(by_claim): "found"}.get(found, "found in part")
        sentences.append(
            f"On {kind} the paper's profile is {outcome}: sudden convergence by the middle layers "
            f"{by_claim['C03']}, peak at the layer that is read {by_claim['C04']}, "
            f"dispersion in the last layer {by_claim['C05']}."
        )
    return "\n".join(sentences)
