"""One procedural scene: objects on a photograph, of which everything is known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from vzlib.scenes import sprites
from vzlib.scenes.photographs import PHOTOGRAPHS, Split, backgrounds

T = TypeVar("T")

VERSION = 1  # raised with every change that changes the bytes of a scene or its questions
PATCH = 8  # pixels; objects are aligned to this grid to within one pixel

Kind = Literal["shape", "number", "word", "digit"]
SIDES = ((14, 16, 0.5), (20, 24, 0.85), (28, 32, 1.0))  # shortest, longest, share up to here


@dataclass(frozen=True)
class SceneObject:
    """Something that was drawn. Positions and sizes are in pixels from the top left corner."""

    kind: Kind
    label: str  # "red circle", "47", "cat", "7"
    left: int
    top: int
    width: int
    height: int
    colour: str | None = None
    shape: str | None = None

    @property
    def name(self) -> str:
        """How questions call it: "red circle", "number", "word", "digit"."""
        return self.label if self.kind == "shape" else self.kind

    @property
    def centre(self) -> tuple[float, float]:
        """Horizontal and vertical centre in pixels."""
        return self.left + self.width / 2, self.top + self.height / 2


@dataclass(frozen=True)
class Question:
    """A question, its answer (one or two words), and the indices of the objects it is about."""

    task: str
    text: str
    answer: str
    objects: tuple[int, ...]


@dataclass(frozen=True)
class Scene:
    """An image `uint8 [P, P, 3]` with its objects; questions come from `vzlib.scenes.ask`."""

    index: int
    split: Split
    seed: int
    image: np.ndarray
    objects: tuple[SceneObject, ...]

    def mask(self, number: int) -> np.ndarray:
        """The pixels that object `number` covers, `bool [P, P]`."""
        thing = self.objects[number]
        pixels = np.zeros(self.image.shape[:2], dtype=bool)
        inside: np.ndarray | bool = True
        if thing.shape is not None:
            inside = sprites.shape_mask(thing.shape, thing.width) > 127
        rows = slice(thing.top, thing.top + thing.height)
        pixels[rows, thing.left : thing.left + thing.width] = inside
        return pixels

    def object_patches(self, number: int, patch: int = PATCH, share: float = 0.1) -> np.ndarray:
        """The patches of which object `number` covers more than `share`, `bool [G, G]`."""
        return _patch_share(self.mask(number), patch) > share

    def patches(self, patch: int = PATCH, share: float = 0.1) -> np.ndarray:
        """The patches that are not background, `bool [G, G]`."""
        grid = self.image.shape[0] // patch
        covered = np.zeros((grid, grid), dtype=bool)
        for number in range(len(self.objects)):
            covered |= self.object_patches(number, patch, share)
        return covered


def _patch_share(pixels: np.ndarray, patch: int) -> np.ndarray:
    grid = pixels.shape[0] // patch
    return pixels.reshape(grid, patch, grid, patch).mean(axis=(1, 3))


def stream(split: Split, seed: int, index: int, purpose: int) -> Iterator[float]:
    """Uniform numbers in [0, 1) that depend on the four arguments alone."""
    key = np.array([seed * 4 + purpose * 2 + (split == "test"), index], dtype=np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key))
    while True:
        yield from generator.random(256).tolist()


def pick(options: Sequence[T], uniform: Iterator[float]) -> T:
    """One of several, each as likely."""
    return options[int(next(uniform) * len(options))]


def check(index: int, split: Split, seed: int, grid: int) -> None:
    """Raise ValueError if the split is unknown, a number negative or the grid outside 12..24."""
    if split not in PHOTOGRAPHS:
        raise ValueError(f"split {split!r} is unknown; allowed: {', '.join(PHOTOGRAPHS)}")
    if index < 0 or seed < 0:
        raise ValueError(f"index and seed must be 0 or more, not {index} and {seed}")
    if not 12 <= grid <= 24:
        raise ValueError(f"grid must be 12 to 24 patches, not {grid}")


def make(index: int, split: Split = "test", *, seed: int = 0, grid: int = 24) -> Scene:
    """Scene number `index` of a split: `grid` by `grid` patches of eight pixels.

    The same arguments and `VERSION` give the same bytes on every machine.

    Raises:
        ValueError: if the split is unknown, the index or seed negative, or the grid outside 12..24.
    """
    check(index, split, seed, grid)
    uniform = stream(split, seed, index, purpose=0)
    image = _background(split, grid * PATCH, uniform)
    objects = _place(_choose(split, grid, uniform), grid, uniform)
    drawn = tuple(_draw(image, split, thing, uniform) for thing in objects)
    return Scene(index, split, seed, image, drawn)


def _background(split: Split, side: int, uniform: Iterator[float]) -> np.ndarray:
    photograph = pick(backgrounds(split), uniform)
    top = int(next(uniform) * (photograph.shape[0] - side + 1))
    left = int(next(uniform) * (photograph.shape[1] - side + 1))
    crop = photograph[top : top + side, left : left + side]
    if next(uniform) < 0.5:
        crop = crop[:, ::-1]
    brightness = np.uint16(90 + int(next(uniform) * 110))  # of 256: signs and shapes stand out
    return (np.multiply(crop, brightness, dtype=np.uint16) >> 8).astype(np.uint8)


def _choose(split: Split, grid: int, uniform: Iterator[float]) -> list[tuple[Kind, str, int]]:
    """What the scene holds as (kind, label, side in pixels), largest first."""
    text_share = 0.5 if grid > 16 else 0.3
    signs: list[tuple[Kind, str, int]] = []
    forced = int(next(uniform) * 3)  # every scene holds at least one thing to read
    for number, kind in enumerate(("word", "number", "digit")):
        chance = next(uniform)
        if number != forced and next(uniform) >= text_share:
            continue
        if kind == "word":
            signs.append(("word", sprites.WORDS[int(chance * len(sprites.WORDS))], 38))
        elif kind == "number":
            signs.append(("number", str(10 + int(chance * 90)), 26))
        else:
            signs.append(("digit", str(int(chance * len(sprites.handwritten(split)[1]))), 24))
    colours, shapes = list(sprites.COLOURS), list(sprites.SHAPES)
    if next(uniform) < 0.4:  # few kinds, so that counts above one are common
        colours = [pick(colours, uniform) for _ in range(2)]
        shapes = [pick(shapes, uniform) for _ in range(2)]
    most = 6 if grid > 16 else 4
    things: list[tuple[Kind, str, int]] = []
    for _ in range(1 + int(next(uniform) * most)):
        colour, shape = pick(colours, uniform), pick(shapes, uniform)
        things.append(("shape", f"{colour} {shape}", _side(uniform)))
    return signs + sorted(things, key=lambda thing: -thing[2])


def _side(uniform: Iterator[float]) -> int:
    size, place = next(uniform), next(uniform)
    shortest, longest = next((a, b) for a, b, share in SIDES if size < share)
    return shortest + int(place * (longest - shortest + 1))


def _place(
    things: list[tuple[Kind, str, int]], grid: int, uniform: Iterator[float]
) -> list[tuple[Kind, str, int, int, int]]:
    """Adds left and top; things that find no free place among a few are left out."""
    taken = [0] * (grid + 1)  # one bit field per row of patches, one patch of air around things
    placed = []
    for kind, label, width in things:
        height = 18 if kind in ("word", "number") else width
        columns, rows = -(-width // PATCH), -(-height // PATCH)
        bits = (1 << (columns + 1)) - 1
        for _ in range(16):
            column = int(next(uniform) * (grid - columns + 1))
            row = int(next(uniform) * (grid - rows + 1))
            reach = range(row, row + rows + 1)
            if all(taken[r] & (bits << column) == 0 for r in reach):
                for r in reach:
                    taken[r] |= bits << column
                left = _jitter(column, columns, width, grid, next(uniform))
                top = _jitter(row, rows, height, grid, next(uniform))
                placed.append((kind, label, width, left, top))
                break
    return placed


def _jitter(cell: int, cells: int, length: int, grid: int, uniform: float) -> int:
    start = cell * PATCH + (cells * PATCH - length) // 2 + int(uniform * 3) - 1
    return min(max(start, 0), grid * PATCH - length)


def _draw(
    image: np.ndarray,
    split: Split,
    thing: tuple[Kind, str, int, int, int],
    uniform: Iterator[float],
) -> SceneObject:
    kind, label, width, left, top = thing
    if kind == "shape":
        colour, shape = label.split()
        opacity = sprites.shape_mask(shape, width)[..., None].astype(np.uint16)
        shade = [c + int(next(uniform) * 25) - 12 for c in sprites.COLOURS[colour]]
        paint = np.clip(shade, 0, 255).astype(np.uint16)
        region = image[top : top + width, left : left + width]
        region[:] = (paint * opacity + region * (255 - opacity) + 127) // 255
        return SceneObject(kind, label, left, top, width, width, colour, shape)
    if kind == "digit":
        images, labels = sprites.handwritten(split)
        plate, label = images[int(label)], str(labels[int(label)])
    else:
        plate = sprites.sign(label, dark=next(uniform) < 0.3)
    height, width = plate.shape
    image[top : top + height, left : left + width] = plate[..., None]
    return SceneObject(kind, label, left, top, width, height)
