"""The real photographs that ship with scikit-image, scikit-learn and matplotlib, as backgrounds.

Train and test photographs are disjoint, so that a model is scored on backgrounds it never saw.
"""

from functools import cache
from importlib.resources import files
from typing import Literal

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

Split = Literal["train", "test"]

PHOTOGRAPHS: dict[Split, dict[str, tuple[str, str]]] = {
    "train": {
        "astronaut": ("skimage", "data/astronaut.png"),
        "brick": ("skimage", "data/brick.png"),
        "chelsea": ("skimage", "data/chelsea.png"),
        "china": ("sklearn", "datasets/images/china.jpg"),
        "coffee": ("skimage", "data/coffee.png"),
        "coins": ("skimage", "data/coins.png"),
        "grace_hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
        "grass": ("skimage", "data/grass.png"),
        "gravel": ("skimage", "data/gravel.png"),
        "hubble_deep_field": ("skimage", "data/hubble_deep_field.jpg"),
        "moon": ("skimage", "data/moon.png"),
        "motorcycle": ("skimage", "data/motorcycle_left.png"),
    },
    "test": {
        "camera": ("skimage", "data/camera.png"),
        "flower": ("sklearn", "datasets/images/flower.jpg"),
        "ihc": ("skimage", "data/ihc.png"),
        "rocket": ("skimage", "data/rocket.jpg"),
    },
}

SHORT_SIDES = (208, 288, 400)
BLUR_RADII = (0, 2)
SATURATIONS = (1.0, 0.35)


def photographs(split: Split = "test") -> dict[str, np.ndarray]:
    """The photographs of a split by name, each `uint8 [H, W, 3]`.

    Raises:
        ValueError: if `split` is neither "train" nor "test".
    """
    if split not in PHOTOGRAPHS:
        raise ValueError(f"split {split!r} is unknown; allowed: {', '.join(PHOTOGRAPHS)}")
    return {
        name: np.asarray(Image.open(str(files(package) / path)).convert("RGB"))
        for name, (package, path) in PHOTOGRAPHS[split].items()
    }


@cache
def backgrounds(split: Split) -> tuple[np.ndarray, ...]:
    """Every photograph of a split in several sizes, sharp and blurred, coloured and paler.

    Each is `uint8 [H, W, 3]` with both sides of at least 208 pixels; scenes crop from them.
    """
    variants = []
    for photograph in photographs(split).values():
        image = Image.fromarray(photograph)
        for side in SHORT_SIDES:
            scale = side / min(image.size)
            size = (max(side, round(image.width * scale)), max(side, round(image.height * scale)))
            resized = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
            for radius in BLUR_RADII:
                blurred = resized.filter(ImageFilter.GaussianBlur(radius)) if radius else resized
                for saturation in SATURATIONS:
                    variants.append(np.asarray(ImageEnhance.Color(blurred).enhance(saturation)))
    return tuple(variants)
