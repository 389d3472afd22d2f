"""An album: several images of one prompt, each on a photograph of its own."""

import numpy as np

from vzlib.scenes.clips.clip import Clip, labels, side
from vzlib.scenes.photographs import Split
from vzlib.scenes.scene import PATCH, Scene, SceneObject, _background, _draw, check, stream

IMAGES = 4
_OWN_STREAM = 1 << 41  # added to the number of an album: other numbers than those of clips


def album(
    index: int, split: Split = "test", *, seed: int = 0, grid: int = 16, images: int = IMAGES
) -> Clip:
    """Album number `index` of a split: so many images of `grid` by `grid` patches.

    One or two shapes an image; one of them is in exactly two images, every other in one alone.

    Raises:
        ValueError: as of `clips.clip`, or unless there are 2 to 8 images.
    """
    check(index, split, seed, grid)
    if not 2 <= images <= 8:
        raise ValueError(f"images={images} must be 2 to 8")
    uniform = stream(split, seed, index + _OWN_STREAM, purpose=0)
    counts = [1 + int(next(uniform) * 2) for _ in range(images)]
    first = int(next(uniform) * images)
    second = (first + 1 + int(next(uniform) * (images - 1))) % images
    names = labels(sum(counts), uniform)
    own = [[names.pop() for _ in range(count)] for count in counts]
    own[second][0] = own[first][0]
    pictures = []
    for things in own:
        image = _background(split, grid * PATCH, uniform)
        taken = np.zeros((grid, grid), dtype=bool)
        drawn: list[SceneObject] = []
        for label in things:
            length = side(uniform)
            cells = -(-length // PATCH)
            while True:  # two things always find room
                column = int(next(uniform) * (grid - cells + 1))
                row = int(next(uniform) * (grid - cells + 1))
                around = slice(max(row - 1, 0), row + cells + 1)
                if not taken[around, max(column - 1, 0) : column + cells + 1].any():
                    break
            taken[row : row + cells, column : column + cells] = True
            spare = (cells * PATCH - length) // 2
            place = column * PATCH + spare, row * PATCH + spare
            drawn.append(_draw(image, split, ("shape", label, length, *place), uniform))
        pictures.append(Scene(index, split, seed, image, tuple(drawn)))
    return Clip(index, split, seed, "album", tuple(pictures))
