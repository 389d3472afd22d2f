"""The main subject of photographs, drawn by hand as polygons in `subjects.json`.

Ten of the 16 have one. The others are textures (brick, grass, gravel), tissue (ihc), the surface of
the moon and a field of galaxies, on which nobody would point at a subject.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from vzlib.scenes.photographs import PHOTOGRAPHS

FILE = files("vzlib.scenes") / "subjects.json"


@cache
def subjects() -> dict[str, str]:
    """What the subject is, by name of the photograph; only those that have one."""
    return {name: entry["what"] for name, entry in _drawn().items()}


def subject(name: str) -> np.ndarray | None:
    """The pixels of a photograph that show its subject, `bool [H, W]`, or None if it has none.

    Pixels within a polygon or on its outline count. Raises ValueError for an unknown photograph.
    """
    where = {name: place for own in PHOTOGRAPHS.values() for name, place in own.items()}
    if name not in where:
        raise ValueError(f"photograph {name!r} is unknown; allowed: {', '.join(where)}")
    if name not in _drawn():
        return None
    package, path = where[name]
    with Image.open(str(files(package) / path)) as photograph:
        mask = Image.new("1", photograph.size)
    for outline in _drawn()[name]["outlines"]:
        ImageDraw.Draw(mask).polygon([(x, y) for x, y in outline], fill=1)
    return np.array(mask, dtype=bool)


@cache
def _drawn() -> dict[str, Any]:
    """By photograph: "what" its subject is, and "outlines", pixels (x, y) from the top left."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found
