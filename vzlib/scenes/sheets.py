"""Crowded scenes of both decks, about which nothing is asked: each patch tells what it shows.

A scene has one number or two; a sheet of the same size has as many as find a place. So an eye or a
projector meets many more numbers, words and pictures for the same work.
"""

from collections.abc import Iterator

from vzlib.scenes import scene as shapes
from vzlib.scenes import sprites
from vzlib.scenes.photographs import Split
from vzlib.scenes.scene import Kind, Scene, stream
from vzlib.scenes.things import scene as things
from vzlib.scenes.things.scene import ThingScene

VERSION = 2
TRIED = 24  # things that look for a place
_OWN_STREAM = 1 << 33  # added to the number of a sheet: other numbers than those of scenes


def shapes_sheet(index: int, split: Split = "train", *, seed: int = 0, grid: int = 24) -> Scene:
    """A crowded scene of the first deck: mostly signs and handwritten digits."""
    uniform = stream(split, seed, index + _OWN_STREAM, purpose=0)
    image = shapes._background(split, grid * shapes.PATCH, uniform)
    chosen = sorted((_shape_or_sign(split, uniform) for _ in range(TRIED)), key=lambda t: -t[2])
    placed = shapes._place(chosen, grid, uniform)
    drawn = tuple(shapes._draw(image, split, thing, uniform) for thing in placed)
    return Scene(index, split, seed, image, drawn)


def things_sheet(
    index: int, split: Split = "train", *, seed: int = 0, grid: int = 24
) -> ThingScene:
    """A crowded scene of the second deck: pictures, up to 70 pixels a side, and as many signs."""
    uniform = stream(split, seed, index + _OWN_STREAM, purpose=1)
    image = things._background(split, grid * things.PATCH, uniform)
    chosen = [_thing(split, uniform) for _ in range(TRIED)]
    chosen.sort(key=lambda thing: -thing.width * thing.height)
    placed = things._place(chosen, grid * things.PATCH, uniform)
    for thing in placed:
        things._draw(image, thing, split, uniform)
    return ThingScene(index, split, seed, image, tuple(placed))


def _shape_or_sign(split: Split, uniform: Iterator[float]) -> tuple[Kind, str, int]:
    kind, pick = next(uniform), next(uniform)
    if kind < 0.4:
        return "number", str(10 + int(pick * 90)), 26
    if kind < 0.6:
        return "word", sprites.WORDS[int(pick * len(sprites.WORDS))], 38
    if kind < 0.75:
        return "digit", str(int(pick * len(sprites.handwritten(split)[1]))), 24
    colours, forms = list(sprites.COLOURS), sprites.SHAPES
    label = f"{colours[int(next(uniform) * 7)]} {forms[int(pick * 6)]}"
    return "shape", label, 14 + int(next(uniform) * 19)


def _thing(split: Split, uniform: Iterator[float]) -> things.Thing:
    kind, pick = next(uniform), next(uniform)
    if kind < 0.5:
        return things._picture(things.catalogue.GROUPS, split, things._side(12, uniform), uniform)
    sign = "number" if kind < 0.72 else "word" if kind < 0.84 else "digit"
    scale = (2, 3, 3, 5)[int(next(uniform) * 4)]
    return things._sign(sign, pick, scale, split)
