"""Where the attention of a token on an object goes (Section 4.2, Figures 6b and 14).

Scenes know the patches of every object, so the question has a number for an answer. Shares of
attention are compared with the share of the tokens (attention spread evenly), and objects with
blanks: the same outline moved to where nothing was drawn, which shows what mere nearness does.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from vzlib import results, scenes
from vzlib.experiments.feature_misalignment.settings import FeatureMisalignment
from vzlib.models.checkpoint import identity
from vzlib.statistics.intervals import Interval, ratio

BLANK = "blank"  # the kind of an outline where nothing was drawn
TARGETS = ("itself", "own object", "other objects", "background", "dominant", "CLS")


def measure(settings: FeatureMisalignment) -> pd.DataFrame:
    """Shares of attention, places of dominant tokens and distances on test scenes, from the store
    if they are known.

    Columns of the rows: quantity, kind (of the object asked from: shape, number, word, digit; all
    of them: "object"; or "blank"), target, layer (1 is the first block), retained, n (query tokens
    or dominant tokens), scenes, share and expected (percent, or patches for distances), value =
    share / expected with its 95 % interval low, high over scenes.

    quantity "attention": attention from the tokens on a thing to each of TARGETS, in every block;
        expected is the target's share of all tokens. Own object is without the asking token;
        dominant are the tokens that block would keep at the smallest `retained`, without those of
        the own object; these may also be background or other objects. Target "dominant/own": the
        first ratio over the second, paired by scene.
    quantity "place": dominant tokens on the background and in the periphery (two patches of 24 from
        a side), against the share of the image, for each of `retained`.
    quantity "distance": patches from a token to the patch it attends to most, against the mean
        distance to all patches. "peak": share of them (percent) that lie on the own object.

    `results.predictions` of the rows holds the same per scene. Raises ValueError for a model that
    there is not and for a layer without attention.
    """
    return results.compute(
        "feature_misalignment",
        settings.model_dump(include={"layer", "scenes", "retained"}),
        partial(_measure, settings.model),
        model_fingerprint=identity(settings.model),
        data_version=str(scenes.VERSION),
    )


def _measure(model: str, point: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    from vzlib.experiments.attention_maps import maps_by_layer, pixels_of, scene_patch, tower_of
    from vzlib.experiments.feature_misalignment.attention_shares import (
        attention_shares,
        distances,
        outlines_of,
        places,
    )
    from vzlib.models.tower_parts import depth_of, has_cls

    tower = tower_of(model)
    read, cls, found = depth_of(tower, point["layer"]), has_cls(tower), []
    for index in tqdm(range(point["scenes"]), desc="scenes", unit="image"):
        scene = scenes.make(index)
        outlines = list(outlines_of(scene, scene_patch(tower, scene.image.shape[0])))
        for layer, heads in enumerate(maps_by_layer(tower, pixels_of(model, scene.image)), 1):
            attention = heads[0].mean(0)
            rows = list(attention_shares(attention, outlines, point["retained"], layer, cls))
            if layer == read:
                rows += places(attention, outlines, point["retained"], layer, cls)
                rows += distances(attention, outlines, layer, cls)
            found += [(index, *row) for row in rows]
    columns = [
        "scene", "quantity", "kind", "target", "layer", "retained", "n", "share", "expected",
    ]  # fmt: skip
    each = pd.DataFrame(found, columns=columns)
    return _summary(each), each


def _summary(each: pd.DataFrame) -> pd.DataFrame:
    """Ratios with intervals over scenes; in a scene, things of one kind count by their tokens."""
    objects = each[each["kind"] != BLANK].assign(kind="object")
    both = pd.concat([each[each["quantity"] != "place"], objects], ignore_index=True)
    for column in ("share", "expected"):
        both[column] *= both["n"]
    keys = ["quantity", "kind", "target", "layer", "retained"]
    scene = both.groupby([*keys, "scene"], sort=False)[["n", "share", "expected"]].sum()
    scene = scene.reset_index()
    rows = []
    for key, group in scene.groupby(keys, sort=False):
        n = int(group["n"].sum())
        share, expected = (group[column].to_numpy() for column in ("share", "expected"))
        interval = ratio(share, expected)
        rows.append((*key, n, len(group), share.sum() / n, expected.sum() / n, *interval))
    rows += list(_dominant_over_own(scene))
    columns = [*keys, "n", "scenes", "share", "expected", *Interval._fields]
    return pd.DataFrame(rows, columns=columns)


def _dominant_over_own(scene: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Attention per dominant token over that per token of the own object, by kind and block."""
    wanted = scene[scene["quantity"] == "attention"]
    for key, group in wanted.groupby(["kind", "layer", "retained"], sort=False):
        by_target = {
            name: rows.set_index("scene") for name, rows in group.groupby("target", sort=False)
        }
        dominant, own = by_target["dominant"], by_target["own object"]
        size = [part["expected"].sum() for part in (dominant, own)]
        if size[1] == 0:
            continue
        first, second = (
            part["share"].to_numpy() / total
            for part, total in zip((dominant, own), size, strict=True)
        )
        kind, layer, retained = key
        yield (
            "attention", kind, "dominant/own", layer, retained, int(own["n"].sum()), len(own),
            np.nan, np.nan, *ratio(first, second),
        )  # fmt: skip


def read_block(rows: pd.DataFrame) -> int:
    """The block, from 1, whose output `settings.layer` is: that of places and distances."""
    return int(rows.loc[rows["quantity"] == "place", "layer"].iloc[0])
