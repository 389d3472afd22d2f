"""Collects the pictures of `things.csv`: `python -m vzlib.scenes.things.collect FOLDER`.

FOLDER holds the WebP files of the npm package `@lobehub/fluent-emoji-3d` 1.1.0 (MIT, Microsoft's
Fluent Emoji), as `npm pack` unpacks them: `package/assets`. What is written ships with this package
and is read by it alone; nobody else needs to run this.
"""

import csv
import io
import sys
import zipfile
from pathlib import Path

from PIL import Image

from vzlib.scenes.things.catalogue import ARCHIVE, TABLE

SIDE = 96  # pixels; scenes show the pictures at 21 to 112


def collect(folder: Path, archive: Path = ARCHIVE) -> None:
    """Writes `archive`: a lossless WebP of 96 pixels for every code point of `things.csv`."""
    with TABLE.open() as file:
        points = [
            p for row in csv.DictReader(file) for p in f"{row['train']} {row['test']}".split()
        ]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as written:
        for point in sorted(points):
            picture = Image.open(folder / f"{point}.webp").convert("RGBa")
            small = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS).convert("RGBA")
            buffer = io.BytesIO()
            small.save(buffer, "webp", lossless=True, quality=100, method=6)
            entry = zipfile.ZipInfo(f"{point}.webp")  # without a date: the same bytes each time
            written.writestr(entry, buffer.getvalue())


if __name__ == "__main__":
    collect(Path(sys.argv[1]))
