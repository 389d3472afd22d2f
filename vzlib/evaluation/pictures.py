"""The images that attention is measured on: photographs, scenes, or a folder of the user's own.

Torch is not needed to check a source, so a notebook can do it before anything slow.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vzlib import scenes
from vzlib.evaluation import image_folder
from vzlib.evaluation.question_file import refuse
from vzlib.scenes import things
from vzlib.scenes.subjects import FILE, subject, subjects

KINDS = ("photographs", "scenes", "things")
SMALLEST = 0.5  # side of a crop as part of the photograph's short side

Read = Callable[[], tuple[np.ndarray, np.ndarray | None]]


class Picture(NamedTuple):
    """A square image uint8 [P, P, 3], and the independent unit it belongs to.

    Crops of one photograph resemble each other, so intervals resample photographs, not crops;
    scenes are drawn independently of each other, so each is a unit of its own.
    subject: where known, float32 [P, P]: 1 on the main subject (in scenes, on anything that was
        drawn), 0 on the background, NaN on what is neither.
    """

    name: str
    unit: str
    image: np.ndarray
    subject: np.ndarray | None = None


def label(source: str) -> str:
    """What a source is called in tables: its name, of a folder without those above it."""
    return source if source in KINDS else Path(source).name


def check(sources: Sequence[str], with_subject: bool = False) -> None:
    """Raises one ValueError with all that is wrong with sources of images, masks included.

    with_subject: images without a known subject do not do.
    """
    problems = []
    for source in dict.fromkeys(sources):
        if source not in KINDS:
            problems += image_folder.problems(source, KINDS, with_subject)
    labels = [label(source) for source in dict.fromkeys(sources)]
    problems += [f"{labels.count(one)} of them are called {one!r}"
                 for one in dict.fromkeys(labels) if labels.count(one) > 1]  # fmt: skip
    refuse(f"images={', '.join(sources)}", problems)


def version(source: str, with_subject: bool = False) -> str:
    """Changes with the bytes of the images of a source and, if they are asked for, of its masks."""
    if source in KINDS:
        number = things.VERSION if source == "things" else scenes.VERSION
        drawn = source == "photographs" and with_subject
        return f"{number} {_digest(FILE.read_bytes())}" if drawn else str(number)
    return f"{label(source)} {image_folder.digest(Path(source), with_subject)}"


def drawn(source: str, seed: int) -> int:
    """The seed, or 0 where it changes nothing."""
    return 0 if source in ("scenes", "things") else seed


def pictures(
    source: str, count: int, seed: int = 0, *, with_subject: bool = False
) -> list[Picture]:
    """The first `count` images of a source; more images begin with the same ones.

    "photographs": crops of the 16 photographs that ship with scikit-image, scikit-learn and
    matplotlib, round after round with the test split first: in the first round the largest central
    square, then random squares of at least half the short side. `seed` chooses those.
    "scenes", "things": test scenes 0, 1, 2 ... of the first and the second deck; `seed` changes
    nothing. Any other source is a folder as `vzlib.evaluation.image_folder` describes it, whose
    images are cropped as the photographs are.
    with_subject: only of those whose subject is known, as ten of the photographs' is.

    Raises ValueError for an unknown source and for a count below 1.
    """
    check([source], with_subject)
    if count < 1:
        raise ValueError(f"count={count} must be at least 1")
    if source == "scenes":
        return [_of_scene(scenes.make(n), f"scene {n}") for n in range(count)]
    if source == "things":
        return [_of_scene(things.make(n), f"things {n}") for n in range(count)]
    readers = dict(_photographs() if source == "photographs" else _of_folder(Path(source)))
    if with_subject and source == "photographs":
        readers = {name: read for name, read in readers.items() if name in subjects()}
    return list(_crops(readers, count, seed))


def square(image: np.ndarray) -> np.ndarray:
    """The largest central square of an image [H, W, ...]."""
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def patch_share(pixels: np.ndarray, grid: int) -> np.ndarray:
    """Share of the subject in each of grid x grid patches, [G, G], of pixels [P, P].

    Of each patch the pixels that are not NaN count; where there are none, the share is NaN. Sides
    that the grid does not divide fall into patches of almost the same size.
    """
    edges = np.linspace(0, len(pixels), grid + 1).round().astype(int)[:-1]
    known = ~np.isnan(pixels)
    sums, counts = (
        np.add.reduceat(np.add.reduceat(part, edges, axis=0), edges, axis=1)
        for part in (np.where(known, pixels, 0).astype(float), known.astype(float))
    )
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _of_scene(scene: scenes.Scene, name: str) -> Picture:
    drawn = np.zeros(scene.image.shape[:2], dtype=bool)
    for number in range(len(scene.objects)):
        drawn |= scene.mask(number)
    return Picture(name, name, scene.image, drawn.astype(np.float32))


def _photographs() -> Iterator[tuple[str, Read]]:
    found = {**scenes.photographs("test"), **scenes.photographs("train")}
    for name, image in found.items():
        yield name, partial(_with_subject, name, image)


def _with_subject(name: str, image: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    mask = subject(name)
    return image, None if mask is None else mask.astype(np.float32)


def _of_folder(folder: Path) -> Iterator[tuple[str, Read]]:
    found = image_folder.listed(folder)
    border = image_folder.has_border(found)
    for name in found.images:
        yield name, partial(image_folder.read, found, border, name)


def _crops(readers: dict[str, Read], count: int, seed: int) -> Iterator[Picture]:
    names = list(readers)
    for number in range(count):
        turn, place = divmod(number, len(names))
        name = names[place]
        parts = readers[name]()
        if turn:
            generator = np.random.default_rng([seed, turn, place])
            cut, called = _square_at(parts[0].shape, generator), f"{name} {turn}"
        else:
            cut, called = square, name
        image, mask = (None if part is None else cut(part) for part in parts)
        assert image is not None
        yield Picture(called, name, image, mask)


def _square_at(
    shape: tuple[int, ...], generator: np.random.Generator
) -> Callable[[np.ndarray], np.ndarray]:
    """A function that cuts one random square out of arrays [H, W, ...]."""
    height, width = shape[:2]
    side = int(min(height, width) * generator.uniform(SMALLEST, 1))
    top, left = (int(generator.integers(room - side + 1)) for room in (height, width))
    return lambda array: array[top : top + side, left : left + side]


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
