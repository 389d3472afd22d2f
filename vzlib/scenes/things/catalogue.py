"""The pictures of real things: what they are called, and their pixels.

Microsoft's Fluent Emoji in three dimensions (MIT; `LICENSE.txt`), as the npm package
`@lobehub/fluent-emoji-3d` 1.1.0 has them. A name of which there are several renderings shows some
in training and others in the test; the others show the same picture in both.
"""

import csv
import io
import zipfile
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from vzlib.scenes.photographs import Split

TABLE = Path(__file__).with_name("things.csv")
ARCHIVE = Path(__file__).with_name("pictures.zip")
GROUPS = ("animal", "food", "vehicle", "tool", "garment", "instrument")


@dataclass(frozen=True)
class Entry:
    """A line of `things.csv`: a name, its group, and the pictures that show it.

    number: "plural" or "mass" for names without an article; colour: of names that have several.
    """

    name: str
    group: str
    number: str
    colour: str | None
    pictures: dict[Split, tuple[str, ...]]


@cache
def entries() -> tuple[Entry, ...]:
    """Every line of `things.csv`."""
    with TABLE.open() as file:
        return tuple(
            Entry(
                row["name"],
                row["group"],
                row["number"],
                row["colour"] or None,
                {
                    "train": tuple(row["train"].split()),
                    "test": tuple((row["test"] or row["train"]).split()),
                },
            )
            for row in csv.DictReader(file)
        )


@cache
def names(group: str) -> tuple[str, ...]:
    """The names in a group, each once."""
    return tuple(dict.fromkeys(entry.name for entry in entries() if entry.group == group))


@lru_cache(maxsize=4096)
def picture(point: str, side: int, mirrored: bool) -> np.ndarray:
    """A picture by its code points, `uint8 [side, side, 4]`: red, green, blue, opacity."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        image = Image.open(io.BytesIO(archive.read(f"{point}.webp"))).convert("RGBa")
    resized = image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0)
    pixels = np.asarray(resized.convert("RGBA"))
    return np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels
