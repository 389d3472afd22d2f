"""One scene of the second deck: real things, shapes and signs on a photograph, all of it known."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from vzlib.scenes import glyphs, sprites
from vzlib.scenes.photographs import Split, photographs
from vzlib.scenes.scene import Scene, SceneObject, check, pick, stream
from vzlib.scenes.things import catalogue

VERSION = 1  # raised with every change that changes the bytes of a scene or its questions
PATCH = 14  # pixels; things stand anywhere, the grid means nothing to them
SMALLEST, LARGEST = 21, 112  # pixels a side of a picture: 1.5 to 8 patches
HOST = 70  # pixels from which on a thing can carry another
SHORT_SIDES = (352, 448, 576)  # of the photographs that backgrounds are cropped from
AIR = 5  # pixels between two things
SIGN_SCALES = (3, 5)  # pixels of a dot of the font; 2 on signs that stand on a thing
_OWN_STREAM = 1 << 32  # added to the number of a scene: other numbers than the first deck's


@dataclass(frozen=True)
class Thing(SceneObject):
    """Something that was drawn: also a "picture", whose label is its name.

    group: "animal" and so on, of a picture; picture: its code points; on: number of the thing that
    this one stands on, a fine detail; sample: which handwritten digit.
    """

    kind: str  # type: ignore[assignment]
    group: str | None = None
    picture: str | None = None
    mirrored: bool = False
    on: int | None = None
    sample: int | None = None

    @property
    def name(self) -> str:
        """How questions call it: "dog", "red circle", "number", "word", "digit"."""
        return self.label if self.kind in ("shape", "picture") else self.kind

    @property
    def opacity(self) -> np.ndarray:
        """Of its pixels, `uint8 [height, width]`."""
        if self.picture is not None:
            return catalogue.picture(self.picture, self.width, self.mirrored)[..., 3]
        if self.shape is not None:
            return sprites.shape_mask(self.shape, self.width)
        return np.full((self.height, self.width), 255, dtype=np.uint8)


@dataclass(frozen=True)
class ThingScene(Scene):
    """An image `uint8 [P, P, 3]` with its things; questions come from `things.ask`."""

    objects: tuple[Thing, ...]

    def mask(self, number: int) -> np.ndarray:
        """The pixels that thing `number` shows, `bool [P, P]`: not those that another hides."""
        pixels = self._covered(number)
        for other, thing in enumerate(self.objects):
            if thing.on == number:
                pixels &= ~self._covered(other)
        return pixels

    def object_patches(self, number: int, patch: int = PATCH, share: float = 0.1) -> np.ndarray:
        """The patches of which thing `number` covers more than `share`, `bool [G, G]`."""
        return super().object_patches(number, patch, share)

    def patches(self, patch: int = PATCH, share: float = 0.1) -> np.ndarray:
        """The patches that are not background, `bool [G, G]`."""
        return super().patches(patch, share)

    def _covered(self, number: int) -> np.ndarray:
        thing = self.objects[number]
        pixels = np.zeros(self.image.shape[:2], dtype=bool)
        rows = slice(thing.top, thing.top + thing.height)
        pixels[rows, thing.left : thing.left + thing.width] = thing.opacity > 127
        return pixels


def make(index: int, split: Split = "test", *, seed: int = 0, grid: int = 24) -> ThingScene:
    """Scene number `index` of a split: `grid` by `grid` patches of 14 pixels.

    The same arguments and `VERSION` give the same bytes on every machine.

    Raises:
        ValueError: if the split is unknown, the index or seed negative, or the grid outside 12..24.
    """
    check(index, split, seed, grid)
    uniform = stream(split, seed, index + _OWN_STREAM, purpose=0)
    image = _background(split, grid * PATCH, uniform)
    placed = _place(_choose(split, grid, uniform), grid * PATCH, uniform)
    placed += _details(placed, split, uniform)
    for thing in placed:
        _draw(image, thing, split, uniform)
    return ThingScene(index, split, seed, image, tuple(placed))


@cache
def _backgrounds(split: Split) -> tuple[Image.Image, ...]:
    """Every photograph of a split in several sizes, both sides of at least 352 pixels."""
    sized = []
    for photograph in photographs(split).values():
        image = Image.fromarray(photograph)
        for side in SHORT_SIDES:
            scale = side / min(image.size)
            size = (max(side, round(image.width * scale)), max(side, round(image.height * scale)))
            sized.append(image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0))
    return tuple(sized)


def _background(split: Split, side: int, uniform: Iterator[float]) -> np.ndarray:
    photograph = pick(_backgrounds(split), uniform)
    left = int(next(uniform) * (photograph.width - side + 1))
    top = int(next(uniform) * (photograph.height - side + 1))
    crop = photograph.crop((left, top, left + side, top + side))
    if next(uniform) < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if next(uniform) < 0.3:
        crop = crop.filter(ImageFilter.GaussianBlur(2))
    if next(uniform) < 0.3:
        crop = ImageEnhance.Color(crop).enhance(0.35)
    brightness = np.uint16(128 + int(next(uniform) * 129))  # of 256
    return (np.multiply(np.asarray(crop), brightness, dtype=np.uint16) >> 8).astype(np.uint8)


def _choose(split: Split, grid: int, uniform: Iterator[float]) -> list[Thing]:
    """What the scene holds, largest first, not placed yet."""
    things = []
    forced = int(next(uniform) * 3)  # one thing to read at least, where there is a place for it
    for number, kind in enumerate(("word", "number", "digit")):
        chance, size = next(uniform), next(uniform)
        if number == forced or next(uniform) < 0.3:
            things.append(_sign(kind, chance, SIGN_SCALES[size < 0.35], split))
    small_world = next(uniform) < 0.4  # few kinds, so that counts above one are common
    groups: tuple[str, ...] = catalogue.GROUPS
    colours: tuple[str, ...] = tuple(sprites.COLOURS)
    shapes: tuple[str, ...] = sprites.SHAPES
    if small_world:
        groups = tuple(pick(groups, uniform) for _ in range(2))
        colours = tuple(pick(colours, uniform) for _ in range(2))
        shapes = tuple(pick(shapes, uniform) for _ in range(2))
    most = 5 if grid > 16 else 3
    for _ in range(1 + int(next(uniform) * most)):
        things.append(_picture(groups, split, _side(grid, uniform), uniform))
    for _ in range(int(next(uniform) * (4 if grid > 16 else 3))):
        colour, shape, side = pick(colours, uniform), pick(shapes, uniform), _side(grid, uniform)
        things.append(Thing("shape", f"{colour} {shape}", 0, 0, side, side, colour, shape))
    return sorted(things, key=lambda thing: -thing.width * thing.height)


def _sign(kind: str, chance: float, scale: int, split: Split) -> Thing:
    if kind == "digit":
        labels, side = sprites.handwritten(split)[1], 14 * scale
        sample = int(chance * len(labels))
        return Thing(kind, str(labels[sample]), 0, 0, side, side, sample=sample)
    if kind == "word":
        label = sprites.WORDS[int(chance * len(sprites.WORDS))]
    else:
        label = str(10 + int(chance * 90))
    height, width = _plate(label, scale).shape
    return Thing(kind, label, 0, 0, width, height)


def _plate(text: str, scale: int) -> np.ndarray:
    """Where the ink of a sign is, `bool [H, W]`."""
    return np.pad(glyphs.write(text, scale), scale)


def _picture(groups: tuple[str, ...], split: Split, side: int, uniform: Iterator[float]) -> Thing:
    group = pick(groups, uniform)
    name = pick(catalogue.names(group), uniform)
    entry = pick([e for e in catalogue.entries() if e.name == name], uniform)
    point = pick(entry.pictures[split], uniform)
    return Thing("picture", name, 0, 0, side, side, colour=entry.colour, group=group,
                 picture=point, mirrored=next(uniform) < 0.5)  # fmt: skip


def _side(grid: int, uniform: Iterator[float]) -> int:
    largest = LARGEST if grid > 16 else 70
    ratio = largest / SMALLEST
    return round(SMALLEST * ratio ** next(uniform))  # as many of each size, in octaves


def _place(things: list[Thing], side: int, uniform: Iterator[float]) -> list[Thing]:
    """The things where they stand; those that find no free place among a few are left out."""
    free = np.ones((side, side), dtype=bool)
    placed = []
    for thing in things:
        for _ in range(16):
            left = int(next(uniform) * (side - thing.width + 1))
            top = int(next(uniform) * (side - thing.height + 1))
            rows, columns = slice(top, top + thing.height), slice(left, left + thing.width)
            if free[rows, columns].all():
                top_air, left_air = max(0, top - AIR), max(0, left - AIR)
                free[top_air : rows.stop + AIR, left_air : columns.stop + AIR] = False
                placed.append(replace(thing, left=left, top=top))
                break
    return placed


def _details(placed: list[Thing], split: Split, uniform: Iterator[float]) -> list[Thing]:
    """One small thing on one large picture, in half of the scenes that have one."""
    hosts = [i for i, t in enumerate(placed) if t.kind == "picture" and t.width >= HOST]
    if not hosts or next(uniform) < 0.35:
        return []
    number = pick(hosts, uniform)
    host, kind, side = placed[number], next(uniform), SMALLEST + int(next(uniform) * 8)
    if kind < 0.4:
        small = _picture(catalogue.GROUPS, split, side, uniform)
        if small.label in {thing.label for thing in placed}:
            return []
    elif kind < 0.7:
        small = _sign("number", next(uniform), 2, split)
    else:
        colour, shape = pick(list(sprites.COLOURS), uniform), pick(sprites.SHAPES, uniform)
        small = Thing("shape", f"{colour} {shape}", 0, 0, side, side, colour, shape)
    room = (host.width - small.width, host.height - small.height)
    left, top = (int(length * (0.2 + 0.6 * next(uniform))) for length in room)
    return [replace(small, left=host.left + left, top=host.top + top, on=number)]


def _draw(image: np.ndarray, thing: Thing, split: Split, uniform: Iterator[float]) -> None:
    rows = slice(thing.top, thing.top + thing.height)
    region = image[rows, thing.left : thing.left + thing.width]
    paint: np.ndarray
    if thing.picture is not None:
        paint = catalogue.picture(thing.picture, thing.width, thing.mirrored)[..., :3]
    elif thing.shape is not None:
        shade = [c + int(next(uniform) * 25) - 12 for c in sprites.COLOURS[str(thing.colour)]]
        paint = np.clip(shade, 0, 255)
    else:
        paint = _paper(thing, split, dark=next(uniform) < 0.3)[..., None]
    opacity = thing.opacity[..., None].astype(np.uint16)
    region[:] = (paint.astype(np.uint16) * opacity + region * (255 - opacity) + 127) // 255


def _paper(thing: Thing, split: Split, dark: bool) -> np.ndarray:
    """The face of a sign or a handwritten digit, `uint8 [height, width]`."""
    if thing.sample is None:
        ink = _plate(thing.label, thing.height // 9)  # seven dots and a margin of one
        return np.where(ink, 240, 28) if dark else np.where(ink, 22, 238)
    written = Image.fromarray(sprites.handwritten(split)[0][thing.sample])
    return np.asarray(written.resize((thing.width, thing.height), Image.Resampling.BILINEAR))
