"""The images that attention is measured on: crops of real photographs, and scenes."""

from typing import NamedTuple

import numpy as np

from vzlib import scenes

KINDS = ("photographs", "scenes")
SMALLEST = 0.5  # side of a crop as part of the photograph's short side


class Picture(NamedTuple):
    """A square image uint8 [P, P, 3], and the independent unit it belongs to.

    Crops of one photograph resemble each other, so intervals resample photographs, not crops;
    scenes are drawn independently of each other, so each is a unit of its own.
    """

    name: str
    unit: str
    image: np.ndarray


def pictures(kind: str, count: int, seed: int = 0) -> list[Picture]:
    """The first `count` images of a kind; more images begin with the same ones.

    "photographs": crops of the 16 photographs that ship with scikit-image, scikit-learn and
    matplotlib, round after round with the test split first: in the first round the largest central
    square, then random squares of at least half the short side. `seed` chooses those.
    "scenes": test scenes 0, 1, 2 ...; `seed` changes nothing.

    Raises ValueError for an unknown kind and for a count below 1.
    """
    if kind not in KINDS:
        raise ValueError(f"images {kind!r} are unknown; allowed: {', '.join(KINDS)}")
    if count < 1:
        raise ValueError(f"count={count} must be at least 1")
    if kind == "scenes":
        numbers = range(count)
        return [Picture(f"scene {n}", f"scene {n}", scenes.make(n).image) for n in numbers]
    photographs = {**scenes.photographs("test"), **scenes.photographs("train")}
    names = list(photographs)
    chosen = []
    for number in range(count):
        turn, place = divmod(number, len(names))
        name = names[place]
        if turn:
            crop = _crop(photographs[name], np.random.default_rng([seed, turn, place]))
            chosen.append(Picture(f"{name} {turn}", name, crop))
        else:
            chosen.append(Picture(name, name, square(photographs[name])))
    return chosen


def square(image: np.ndarray) -> np.ndarray:
    """The largest central square of an image [H, W, 3]."""
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def _crop(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A random square of an image [H, W, 3]."""
    height, width = image.shape[:2]
    side = int(min(height, width) * generator.uniform(SMALLEST, 1))
    top, left = (int(generator.integers(room - side + 1)) for room in (height, width))
    return image[top : top + side, left : left + side]
