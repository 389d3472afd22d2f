"""A clip: shapes that come, go and move over eight frames of one photograph."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from vzlib.scenes import sprites
from vzlib.scenes.photographs import Split
from vzlib.scenes.scene import PATCH, Scene, SceneObject, _background, _draw, check, pick, stream

VERSION = 1  # raised with every change that changes the bytes of a clip, an album or its questions
FRAMES = 8  # as Video-LLaVA is shown
MOST = 5  # things of a clip
SIDES = ((14, 16), (20, 24))  # pixels of a small and a larger thing
_OWN_STREAM = 1 << 40  # added to the number of a clip: other numbers than those of scenes


class Where(NamedTuple):
    """A thing in one frame: the number of the frame from 0, and its top left corner in pixels."""

    frame: int
    left: int
    top: int


@dataclass(frozen=True)
class Clip:
    """Frames, or the images of an album, in their order; questions come from `clips.ask`.

    No two things of a frame have the same name, and a name stands for one thing throughout.
    """

    index: int
    split: Split
    seed: int
    kind: Literal["clip", "album"]
    frames: tuple[Scene, ...]

    @cached_property
    def shown(self) -> Mapping[str, tuple[Where, ...]]:
        """Every thing by its name, in the order in which they come, and where it is when."""
        found: dict[str, list[Where]] = {}
        for number, frame in enumerate(self.frames):
            for thing in frame.objects:
                found.setdefault(thing.name, []).append(Where(number, thing.left, thing.top))
        return {name: tuple(places) for name, places in found.items()}

    @property
    def moved(self) -> tuple[str, ...]:
        """The things that are not always at the same place."""
        return tuple(
            name
            for name, places in self.shown.items()
            if len({(place.left, place.top) for place in places}) > 1
        )

    def patches(self, patch: int = PATCH, share: float = 0.1) -> np.ndarray:
        """The patches that are not background, `bool [F, G, G]`."""
        return np.stack([frame.patches(patch, share) for frame in self.frames])

    def name_patches(self, name: str, patch: int = PATCH, share: float = 0.1) -> np.ndarray:
        """The patches of which a thing covers more than `share`, `bool [F, G, G]`."""
        grid = len(self.frames[0].image) // patch
        covered = np.zeros((len(self.frames), grid, grid), dtype=bool)
        for number, frame in enumerate(self.frames):
            for which, thing in enumerate(frame.objects):
                if thing.name == name:
                    covered[number] |= frame.object_patches(which, patch, share)
        return covered


class _Track(NamedTuple):
    """A thing to be drawn: first frame, frames it stays, and cells it goes each frame."""

    label: str
    side: int
    first: int
    frames: int
    step: tuple[int, int]  # right, down


def clip(index: int, split: Split = "test", *, seed: int = 0, grid: int = 16) -> Clip:
    """Clip number `index` of a split: `FRAMES` frames of `grid` by `grid` patches of eight pixels.

    Two to five shapes (four below a grid of 16), each in a frame of its own for the first time. One
    moves, a patch each frame; of the others some are there in a single frame. The same arguments
    and `VERSION` give the same bytes on every machine.

    Raises:
        ValueError: if the split is unknown, the index or seed negative, or the grid outside 12..24.
    """
    check(index, split, seed, grid)
    uniform = stream(split, seed, index + _OWN_STREAM, purpose=0)
    background = _background(split, grid * PATCH, uniform)
    tracks = _tracks(MOST if grid >= 16 else MOST - 1, uniform)
    images = [background.copy() for _ in range(FRAMES)]
    objects: list[list[SceneObject]] = [[] for _ in range(FRAMES)]
    for track, (left, top) in _place(tracks, grid, uniform):
        shade = [next(uniform) for _ in range(3)]
        for frame in range(track.first, track.first + track.frames):
            moved = frame - track.first
            x, y = left + moved * track.step[0] * PATCH, top + moved * track.step[1] * PATCH
            thing = _draw(
                images[frame], split, ("shape", track.label, track.side, x, y), iter(shade)
            )
            objects[frame].append(thing)
    frames = tuple(
        Scene(index, split, seed, image, tuple(things))
        for image, things in zip(images, objects, strict=True)
    )
    return Clip(index, split, seed, "clip", frames)


def labels(count: int, uniform: Iterator[float]) -> list[str]:
    """Names of so many shapes, no two the same; every second one is like another in one respect."""
    chosen: list[str] = []
    colours, shapes = list(sprites.COLOURS), list(sprites.SHAPES)
    while len(chosen) < count:
        colour, shape = pick(colours, uniform), pick(shapes, uniform)
        if chosen and next(uniform) < 0.5:
            like = pick(chosen, uniform).split()
            colour, shape = (like[0], shape) if next(uniform) < 0.5 else (colour, like[1])
        if f"{colour} {shape}" not in chosen:
            chosen.append(f"{colour} {shape}")
    return chosen


def side(uniform: Iterator[float]) -> int:
    """Pixels of a thing, two or three patches."""
    shortest, longest = pick(SIDES, uniform)
    return shortest + int(next(uniform) * (longest - shortest + 1))


def _tracks(most: int, uniform: Iterator[float]) -> list[_Track]:
    """What happens in a clip; the first track is that of the thing that moves."""
    names = labels(2 + int(next(uniform) * (most - 1)), uniform)
    frames = 4 + int(next(uniform) * (FRAMES - 3))
    first = int(next(uniform) * (FRAMES - frames + 1))
    step = pick(((1, 0), (-1, 0), (0, 1), (0, -1)), uniform)
    tracks = [_Track(names[0], side(uniform), first, frames, step)]
    free = [frame for frame in range(FRAMES) if frame != first]
    for name in names[1:]:
        start = free.pop(int(next(uniform) * len(free)))
        frames = 1
        if next(uniform) < 0.6 and start < FRAMES - 1:
            frames = 2 + int(next(uniform) * (FRAMES - start - 1))
        tracks.append(_Track(name, side(uniform), start, frames, (0, 0)))
    return tracks


def _place(
    tracks: list[_Track], grid: int, uniform: Iterator[float]
) -> Iterator[tuple[_Track, tuple[int, int]]]:
    """Adds where each is at first, in pixels; what finds no free place among a few is left out."""
    taken = np.zeros((grid, grid), dtype=bool)
    for track in tracks:
        cells = -(-track.side // PATCH)
        way = [(track.frames - 1) * step for step in track.step]
        wide, high = (cells + abs(length) for length in way)
        for _ in range(24):
            column = int(next(uniform) * (grid - wide + 1))
            row = int(next(uniform) * (grid - high + 1))
            jitter = int(next(uniform) * 3) - 1, int(next(uniform) * 3) - 1
            around = (
                slice(max(row - 1, 0), row + high + 1),
                slice(max(column - 1, 0), column + wide + 1),
            )
            if not taken[around].any():
                taken[row : row + high, column : column + wide] = True
                start = column + max(-way[0], 0), row + max(-way[1], 0)
                yield (
                    track,
                    (
                        _pixel(start[0], column, wide, cells, track.side, jitter[0], grid),
                        _pixel(start[1], row, high, cells, track.side, jitter[1], grid),
                    ),
                )
                break


def _pixel(
    start: int, cell: int, reach: int, cells: int, length: int, jitter: int, grid: int
) -> int:
    """The first pixel of a thing in its cells, off their middle by a pixel at most."""
    inside = (cells * PATCH - length) // 2 + jitter
    # All along its way a thing stays inside the image.
    least = 0 if cell == 0 else -1
    most = cells * PATCH - length + (cell + reach < grid)
    return start * PATCH + min(max(inside, least), most)
