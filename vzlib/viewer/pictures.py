"""The images of the viewer: photographs and scenes that ship, and what somebody uploads."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from vzlib import scenes
from vzlib.evaluation.pictures import square
from vzlib.evaluation.questions import DECKS
from vzlib.models.images import open_image
from vzlib.parameters import unknown

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MEGABYTES = 20  # of an uploaded file
MEGAPIXELS = 25  # of an uploaded image
SCENES = {"scenes": (5, 11, 2), "things": (1, 4, 7)}  # numbers of test scenes, by deck
# Of the photographs, in words that the embedded models know; the truth is what one sees.
NOTHING_THERE = (("is there a rocket ?", "no"), ("is there a red circle ?", "no"))
ASKED = {
    "camera": (("is there a camera ?", "yes"), ("is there a rocket ?", "no")),
    "rocket": (
        ("is there a rocket ?", "yes"),
        ("which vehicle is there ?", "rocket"),
        ("is there a camera ?", "no"),
    ),
}


class Picture(NamedTuple):
    """A square image.

    name: what it is called. image: [P, P, 3] uint8. asked: questions with their true answers, where
    they are known. setting: what notebook 00 calls it, such as {"photograph": "rocket"}.
    """

    name: str
    image: np.ndarray
    asked: tuple[tuple[str, str], ...]
    setting: dict[str, int | str]


def examples() -> list[str]:
    """The names of the images that ship, in the order in which they are shown."""
    return [
        *scenes.photographs("test"),
        *(f"{deck} {number}" for deck, numbers in SCENES.items() for number in numbers),
    ]


def example(name: str) -> Picture:
    """An image that ships. Raises ValueError, naming all, for another name."""
    names = examples()
    if name not in names:
        raise ValueError(f"image {unknown(name, names)}")
    kind, _, number = name.partition(" ")
    if not number:
        image = square(scenes.photographs("test")[name])
        return Picture(name, image, ASKED.get(name, NOTHING_THERE), {"photograph": name})
    deck = DECKS[kind]
    scene = deck.make(int(number))
    asked = tuple((each.text, each.answer) for each in deck.ask(scene))
    return Picture(name, scene.image, asked, {"questions": kind, "scene": int(number)})


def uploaded(path: str | Path) -> Picture:
    """An image file that somebody gave, cut to its central square.

    Raises ValueError, naming the file without its folder, for one that is too large, of another
    format, or broken.
    """
    path = Path(path)
    try:
        _check(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a long image only the middle is used, as is shown
            image = np.asarray(open_image(path))
    except ValueError as error:
        raise ValueError(str(error).replace(str(path), path.name)) from None
    return Picture(path.name, square(image), (), {"photograph": path.name})


def _check(path: Path) -> None:
    size = path.stat().st_size if path.is_file() else 0
    if size > MEGABYTES * 1e6:
        raise ValueError(
            f"image file {path} has {size / 1e6:.1f} MB; allowed: at most {MEGABYTES} MB"
        )
    if not size:
        return  # what is missing or empty is told by `open_image`
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                kind, (width, height) = image.format, image.size
    except UnidentifiedImageError:
        return
    except Exception as error:  # whatever a header makes a decoder raise
        raise ValueError(f"image file {path} is corrupt: {error}") from None
    if kind not in FORMATS:
        raise ValueError(f"image file {path} is {kind}; allowed: {', '.join(FORMATS)}")
    if width * height > MEGAPIXELS * 1e6:
        raise ValueError(
            f"image file {path} is {width} x {height} pixels; allowed: {MEGAPIXELS} million"
        )
