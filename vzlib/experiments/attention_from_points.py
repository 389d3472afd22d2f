"""Where named points of photographs attend to (Figures 6b and 14), as maps and near shares."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from vzlib import scenes
from vzlib.experiments.attention_maps import grid_of, pixels_of, square
from vzlib.experiments.settings import FeatureMisalignment
from vzlib.models.load import load
from vzlib.models.towers import attention_rows, encode, has_cls
from vzlib.tokens import Budget, select_dominant


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


def measure(settings: FeatureMisalignment) -> pd.DataFrame:
    """Attention from each of POINTS to every patch at settings.layer, one row per patch.

    Columns: photograph, what, query_row, query_column, row, column, attention (from the point's
    token, mean over heads), received (the score by which tokens are selected), dominant (kept at
    the smallest of `retained`), near (within settings.radius patches of the point), cls (the
    point's attention to the CLS token, NaN without one).
    """
    loaded = load(settings.model)
    tower = loaded.model.model.vision_tower
    grid, cls = grid_of(tower), int(has_cls(tower))
    budget = Budget.retain(min(settings.retained), has_cls=bool(cls))
    rows, columns = np.divmod(np.arange(grid * grid), grid)
    frames = []
    for point in tqdm(POINTS, desc="points"):
        image = square(scenes.photographs(point.split)[point.photograph])
        pixels = pixels_of(loaded, image)
        row, column = patch_of(point, grid)
        query = [cls + row * grid + column]
        attention = attention_rows(tower, pixels, layer=settings.layer, queries=query)[0, 0].detach()
        scores = encode(tower, pixels, layer=settings.layer).scores.detach()
        kept = select_dominant(scores, budget.dominant, cls=budget.cls)[0]
        dominant = np.zeros(len(attention), dtype=bool)
        dominant[kept.cpu()] = True
        frames.append(
            pd.DataFrame(
                {
                    "photograph": point.photograph,
                    "what": point.what,
                    "query_row": row,
                    "query_column": column,
                    "row": rows,
                    "column": columns,
                    "attention": attention[cls:].cpu().numpy(),
                    "received": scores[0, cls:].cpu().numpy(),
                    "dominant": dominant[cls:],
                    "near": np.hypot(rows - row, columns - column) <= settings.radius,
                    "cls": float(attention[0]) if cls else np.nan,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def shares(maps: pd.DataFrame) -> pd.DataFrame:
    """How a point's attention to patches divides, in percent, beside the share of the patches.

    Columns: photograph, what, near, near_area, dominant, dominant_area, CLS (of all attention).
    """
    found = []
    for (photograph, what), own in maps.groupby(["photograph", "what"], sort=False):
        total = own["attention"].sum()
        found.append(
            {
                "photograph": photograph,
                "what": what,
                "near": 100 * own.loc[own["near"], "attention"].sum() / total,
                "near_area": 100 * own["near"].mean(),
                "dominant": 100 * own.loc[own["dominant"], "attention"].sum() / total,
                "dominant_area": 100 * own["dominant"].mean(),
                "CLS": 100 * own["cls"].iloc[0],
            }
        )
    return pd.DataFrame(found)
