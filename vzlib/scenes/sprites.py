"""What stands in a scene: coloured shapes, number and word signs, handwritten digits."""

import math
from functools import cache, lru_cache

import numpy as np
from PIL import Image, ImageDraw

from vzlib.scenes import glyphs
from vzlib.scenes.photographs import Split

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (222, 38, 38),
    "green": (36, 176, 58),
    "blue": (48, 84, 232),
    "yellow": (242, 222, 48),
    "purple": (168, 52, 200),
    "orange": (246, 138, 24),
    "cyan": (62, 212, 222),
}
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
WORDS = ("ant", "bee", "box", "bus", "car", "cat", "cup", "dog",
         "fox", "hat", "key", "map", "owl", "pig", "sun", "tea")  # fmt: skip
SMOOTHING = 8


@cache
def shape_mask(shape: str, side: int) -> np.ndarray:
    """Opacity of a shape, `uint8 [side, side]`, 255 inside, smooth at its border."""
    canvas = Image.new("L", (side * SMOOTHING, side * SMOOTHING))
    draw, last = ImageDraw.Draw(canvas), side * SMOOTHING - 1
    box = (0, 0, last, last)
    match shape:
        case "circle":
            draw.ellipse(box, fill=255)
        case "square":
            draw.rectangle(box, fill=255)
        case "triangle":
            draw.polygon([(last / 2, 0), (last, last), (0, last)], fill=255)
        case "star":
            radii, angles = (0.54, 0.22) * 5, [math.pi * (i / 5 - 0.5) for i in range(10)]
            points = [
                (last * (0.5 + r * math.cos(a)), last * (0.53 + r * math.sin(a)))
                for r, a in zip(radii, angles, strict=True)
            ]
            draw.polygon(points, fill=255)
        case "cross":
            third, two_thirds = last * 0.34, last * 0.66
            draw.rectangle((third, 0, two_thirds, last), fill=255)
            draw.rectangle((0, third, last, two_thirds), fill=255)
        case "ring":
            draw.ellipse(box, fill=255)
            inner = last * 0.27
            draw.ellipse((inner, inner, last - inner, last - inner), fill=0)
        case _:
            raise ValueError(f"shape {shape!r} is unknown; allowed: {', '.join(SHAPES)}")
    return np.asarray(canvas.reduce(SMOOTHING))


@lru_cache(maxsize=4096)
def sign(text: str, dark: bool) -> np.ndarray:
    """A plate with the text on it, `uint8 [18, W]` grey; dark ink on light, or light on dark."""
    ink = np.pad(glyphs.write(text), 2)
    paper, pen = (28, 240) if dark else (238, 22)
    return np.where(ink, pen, paper).astype(np.uint8)


@cache
def handwritten(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Real handwritten digits (UCI, through scikit-learn) on paper, with their labels.

    Images `uint8 [N, 24, 24]`, labels `[N]`. The first 1 400 samples are for training, the other
    397 for testing.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    chosen = slice(0, 1400) if split == "train" else slice(1400, None)
    ink = (data.images[chosen] * 255 / 16).round().astype(np.uint8)
    size, smooth = (24, 24), Image.Resampling.BILINEAR
    large = [np.asarray(Image.fromarray(image).resize(size, smooth)) for image in ink]
    return 245 - (np.stack(large) * np.uint16(225) // 255).astype(np.uint8), data.target[chosen]


def plural(shape: str) -> str:
    """The word for several of a shape: "stars", "crosses"."""
    return shape + ("es" if shape.endswith("s") else "s")


def vocabulary() -> list[str]:
    """Every word that questions and answers about sprites can need, in a fixed order."""
    return [*COLOURS, *SHAPES, *map(plural, SHAPES), *WORDS, *map(str, range(10))]
