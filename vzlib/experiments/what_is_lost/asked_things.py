"""What is known of the things that a question is about: their size, place, company and contrast."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import binary_dilation
from skimage.color import rgb2lab

GRID = 24  # patches along a side of a scene


class Properties(NamedTuple):
    """Means over the things asked about.

    size: patches that a thing would fill, the geometric mean. eccentricity: distance of its middle
    from that of the image, in half sides: 0 in the middle, 1 at the middle of an edge. others:
    further things in the scene. contrast: distance between its mean colour and that of what is
    around it, as far as a patch reaches, in CIELAB, where black and white are 100 apart.
    """

    size: float
    eccentricity: float
    others: float
    contrast: float


def properties(scene: Any, objects: Sequence[int]) -> Properties:
    """Of things of a scene by their numbers, at least one."""
    side = scene.image.shape[0]
    patch, lab = side // GRID, rgb2lab(scene.image)
    drawn = np.zeros(scene.image.shape[:2], dtype=bool)
    for number in range(len(scene.objects)):
        drawn |= scene.mask(number)
    told = [_of_one(scene.mask(number), drawn, lab, patch) for number in objects]
    log_size, eccentricity, contrast = np.mean(told, axis=0)
    others = len(scene.objects) - len(objects)
    return Properties(2.0**log_size, float(eccentricity), float(others), float(contrast))


def _of_one(
    mask: np.ndarray, drawn: np.ndarray, lab: np.ndarray, patch: int
) -> tuple[float, float, float]:
    """log2 of the size in patches, eccentricity and contrast."""
    half = len(mask) / 2
    middle = np.argwhere(mask).mean(0) + 0.5
    window = _window(mask, patch)
    own = mask[window]
    around = binary_dilation(own, iterations=patch) & ~drawn[window]
    colours = lab[window]
    distance = np.linalg.norm(colours[own].mean(0) - colours[around].mean(0))
    size = float(np.log2(mask.sum() / patch**2))
    return size, float(np.linalg.norm(middle - half) / half), float(distance)


def _window(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Rows and columns of what a mask covers, with a margin."""
    found = []
    for axis in (1, 0):
        (places,) = np.nonzero(mask.any(axis))
        found.append(slice(max(0, places[0] - margin), places[-1] + 1 + margin))
    return found[0], found[1]


def kept_share(scene: Any, objects: Sequence[int], places: np.ndarray, patches: int) -> float:
    """Share of the patches of things on which a kept token stands, the mean over the things.

    places: numbers of patches, below 0 for what stands on none. NaN where no thing is known.
    """
    if scene is None or not objects:
        return float("nan")
    side = round(patches**0.5)
    there = np.zeros(patches, dtype=bool)
    there[places[places >= 0]] = True
    shares = []
    for number in objects:
        mask = scene.object_patches(number, scene.image.shape[0] // side).ravel()
        if mask.any():
            shares.append(there[mask].mean())
    return float(np.mean(shares)) if shares else float("nan")
