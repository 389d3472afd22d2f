"""Where the attention of a token on an object goes (Section 4.2, Figures 6b and 14).

Scenes know the patches of every object, so the question has a number for an answer. Shares of
attention are compared with the share of the tokens (attention spread evenly), and objects with
blanks: the same outline moved to where nothing was drawn, which shows what mere nearness does.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd
from tqdm import tqdm

from vzlib import results, scenes
from vzlib.experiments.feature_misalignment.settings import FeatureMisalignment
from vzlib.models.checkpoint import keyed

TARGETS = ("itself", "own object", "other objects", "background", "dominant", "CLS")


def measure(settings: FeatureMisalignment) -> pd.DataFrame:
    """Shares of attention, places of dominant tokens and distances for every thing on every test
    scene, from the store if they are known.

    Columns: scene (its number), quantity, kind (of the thing asked from: shape, number, word,
    digit; "blank"; or "object" for places), target, layer (1 is the first block), retained, n
    (query tokens or dominant tokens), share and expected (percent, or patches for distances).

    quantity "attention": attention from the tokens on a thing to each of TARGETS, in every block;
        expected is the target's share of all tokens. Own object is without the asking token;
        dominant are the tokens that block would keep at the smallest `retained`, without those of
        the own object; these may also be background or other objects.
    quantity "place": dominant tokens on the background and in the periphery (two patches of 24 from
        a side), against the share of the image, for each of `retained`.
    quantity "distance": patches from a token to the patch it attends to most, against the mean
        distance to all patches. "peak": share of them (percent) that lie on the own object.

    Raises ValueError for a model that there is not and for a layer without attention.
    """
    return results.compute(
        "feature_misalignment",
        settings.model_dump(include={"layer", "scenes", "retained"}),
        partial(_measure, settings.model),
        **keyed(settings.model),
        data_version=str(scenes.VERSION),
        about={"model": settings.model, "questions": "scenes"},
    )


def _measure(name: str, point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.experiments.attention import maps_by_layer, scene_patch
    from vzlib.experiments.feature_misalignment.attention_shares import (
        attention_shares,
        distances,
        outlines_of,
        places,
    )
    from vzlib.models.load import loaded
    from vzlib.models.tower_parts import depth_of

    model, found = loaded(name), []
    read, cls = depth_of(model.tower, point["layer"]), model.has_cls
    for index in tqdm(range(point["scenes"]), desc="scenes", unit="image"):
        scene = scenes.make(index)
        outlines = list(outlines_of(scene, scene_patch(model, scene.image.shape[0])))
        for layer, heads in enumerate(maps_by_layer(model.tower, model.pixels([scene.image])), 1):
            attention = heads[0].mean(0)
            rows = list(attention_shares(attention, outlines, point["retained"], layer, cls))
            if layer == read:
                rows += places(attention, outlines, point["retained"], layer, cls)
                rows += distances(attention, outlines, layer, cls)
            found += [(index, *row) for row in rows]
    columns = [
        "scene", "quantity", "kind", "target", "layer", "retained", "n", "share", "expected",
    ]  # fmt: skip
    return pd.DataFrame(found, columns=columns)
