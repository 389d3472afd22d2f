"""Where named points of photographs attend to (Figures 6b and 14), as maps and near shares."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from vzlib import results, scenes
from vzlib.evaluation.pictures import square
from vzlib.experiments.feature_misalignment.settings import FeatureMisalignment
from vzlib.models.checkpoint import keyed


class Point(NamedTuple):
    """A pixel of a photograph, counted from its upper left corner, and what is there."""

    photograph: str
    split: scenes.Split
    what: str
    x: int
    y: int


# On the main subject, as in Figure 14. The astronaut is a training background of pico.
POINTS = (
    Point("camera", "test", "the cameraman's head", 205, 130),
    Point("rocket", "test", "the rocket's body", 323, 260),
    Point("flower", "test", "the flower's centre", 310, 215),
    Point("astronaut", "train", "the astronaut's face", 222, 130),
)


def patch_of(point: Point, grid: int) -> tuple[int, int]:
    """Row and column of the point's patch in the central square of its photograph.

    Raises ValueError for a point outside of that square.
    """
    height, width = scenes.photographs(point.split)[point.photograph].shape[:2]
    side = min(height, width)
    row, column = (
        int((place - (length - side) // 2) * grid // side)
        for place, length in ((point.y, height), (point.x, width))
    )
    if not (0 <= row < grid and 0 <= column < grid):
        raise ValueError(f"{point} is not in the central square of its {width} x {height} pixels")
    return row, column


def photographs() -> dict[str, np.ndarray]:
    """The central squares of the photographs of POINTS, uint8 [P, P, 3], by name."""
    found = {place.photograph: place.split for place in POINTS}
    return {name: square(scenes.photographs(split)[name]) for name, split in found.items()}


def measure(settings: FeatureMisalignment) -> pd.DataFrame:
    """Attention from each of POINTS to every patch at settings.layer, from the store if known.

    Columns: photograph, what, query_row, query_column, row, column, attention (from the point's
    token, mean over heads), received (the score by which tokens are selected), dominant (kept at
    the smallest of `retained`), cls (the point's attention to the CLS token, NaN without one).
    Raises ValueError for a model that there is not and for a layer without attention.
    """
    return results.compute(
        "attention_from_points",
        {"layer": settings.layer, "retained": min(settings.retained)},
        partial(_measure, settings.model),
        **keyed(settings.model),
        data_version=str(scenes.VERSION),
        about={"model": settings.model, "questions": "photographs"},
    )


def _measure(name: str, point: Mapping[str, Any]) -> pd.DataFrame:
    import torch

    from vzlib.models.load import loaded
    from vzlib.models.towers import attention_rows, encode
    from vzlib.tokens import Budget, select_dominant

    model, layer = loaded(name), point["layer"]
    tower, grid, cls = model.tower, model.grid, int(model.has_cls)
    budget = Budget.retain(point["retained"], has_cls=bool(cls))
    rows, columns = np.divmod(np.arange(grid * grid), grid)
    frames, images = [], photographs()
    for place in tqdm(POINTS, desc="points", unit="point"):
        pixels = model.pixels([images[place.photograph]])
        row, column = patch_of(place, grid)
        query = [cls + row * grid + column]
        with torch.no_grad():
            attention = attention_rows(tower, pixels, layer=layer, queries=query)[0, 0]
            scores = encode(tower, pixels, layer=layer).scores
        kept = select_dominant(scores, budget.dominant, cls=budget.cls)[0]
        dominant = np.zeros(len(attention), dtype=bool)
        dominant[kept.cpu()] = True
        frames.append(
            pd.DataFrame(
                {
                    "photograph": place.photograph,
                    "what": place.what,
                    "query_row": row,
                    "query_column": column,
                    "row": rows,
                    "column": columns,
                    "attention": attention[cls:].cpu().numpy(),
                    "received": scores[0, cls:].cpu().numpy(),
                    "dominant": dominant[cls:],
                    "cls": float(attention[0]) if cls else np.nan,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
