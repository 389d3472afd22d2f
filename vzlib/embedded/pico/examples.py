"""Training batches, made from scene numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vzlib import scenes
from vzlib.embedded.pico.architecture import GRID, MEAN, SPREAD
from vzlib.scenes import sprites
from vzlib.training.answers import ABSENT

KINDS = ("background", "shape", "number", "word", "digit")
PATCH_LABELS = {
    "kind": 5,
    "colour": 7,
    "shape": 6,
    "tens": 10,
    "units": 10,
    "word": 16,
    "digit": 10,
}
IMAGE_LABELS = {"count": 7, "tens": 10, "units": 10, "word": 16, "digit": 10}
CAPTION_LENGTH = 24


@dataclass(frozen=True)
class TowerBatch:
    """What the tower learns from: B images of G by G patches.

    pixels `[B, 3, P, P]`; corners `[B, 2]`; patch labels name -> `[B, G * G]`; centres
    `[B, G * G, 2]` of the object on a patch, in grid sides (NaN on background); image labels
    name -> `[B]`; present `[B, 42]` colour-shape pairs; captions
    `[B, CAPTION_LENGTH]` word numbers.
    """

    pixels: Tensor
    corners: Tensor
    patch_labels: dict[str, Tensor]
    centres: Tensor
    image_labels: dict[str, Tensor]
    present: Tensor
    captions: Tensor


def pixels_of(images: list[np.ndarray]) -> Tensor:
    """Images `uint8 [P, P, 3]` as the processor would hand them over: `[B, 3, P, P]`."""
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    return (stacked - torch.tensor(MEAN)[:, None, None]) / torch.tensor(SPREAD)[:, None, None]


def corners_of(first: int, count: int, grid: int) -> Tensor:
    """Where each image of `grid` patches a side stands on the full grid, `[count, 2]`."""
    generator = torch.Generator().manual_seed(first)
    return torch.randint(0, GRID - grid + 1, (count, 2), generator=generator)


def labels_of(thing: Any, kinds: Sequence[str] = KINDS) -> dict[str, int]:
    """The class of an object under every label that applies to it; its kind is one of `kinds`."""
    labels = {"kind": kinds.index(thing.kind)}
    match thing.kind:
        case "shape":
            labels["colour"] = list(sprites.COLOURS).index(str(thing.colour))
            labels["shape"] = sprites.SHAPES.index(str(thing.shape))
        case "number":
            labels["tens"], labels["units"] = map(int, thing.label)
        case "word":
            labels["word"] = sprites.WORDS.index(thing.label)
        case "digit":
            labels["digit"] = int(thing.label)
    return labels


def tower_batch(first: int, count: int, grid: int, seed: int) -> TowerBatch:
    """Training scenes `first` to `first + count - 1`."""
    batch = [scenes.make(first + i, "train", seed=seed, grid=grid) for i in range(count)]
    corners = corners_of(first, count, grid)
    patch_labels = {n: np.full((count, grid, grid), ABSENT) for n in PATCH_LABELS}
    patch_labels["kind"][:] = 0
    centres = np.full((count, grid, grid, 2), np.nan, dtype=np.float32)
    image_labels = {name: np.full(count, ABSENT) for name in IMAGE_LABELS}
    present = np.zeros((count, 42), dtype=np.float32)
    captions = np.zeros((count, CAPTION_LENGTH), dtype=np.int64)
    words = {word: 1 + i for i, word in enumerate([*scenes.vocabulary(), *KINDS])}
    for i, scene in enumerate(batch):
        caption: list[int] = []
        for thing in scene.objects:
            labels = labels_of(thing)
            touched = (
                slice(thing.top // 8, -(-(thing.top + thing.height) // 8)),
                slice(thing.left // 8, -(-(thing.left + thing.width) // 8)),
            )
            core = (
                slice((thing.top + 5) // 8, (thing.top + thing.height + 3) // 8),
                slice((thing.left + 5) // 8, (thing.left + thing.width + 3) // 8),
            )
            patch_labels["kind"][i][touched] = ABSENT  # a sliver is neither object nor background
            for name, value in labels.items():
                patch_labels[name][i][core] = value
                if name in image_labels:
                    image_labels[name][i] = value
            place = np.array(thing.centre, dtype=np.float32) / scenes.PATCH
            centres[i][core] = (place + corners[i].flip(0).numpy()) / GRID
            if thing.kind == "shape":
                present[i, labels["colour"] * 6 + labels["shape"]] = 1
            spoken = list(thing.label) if thing.kind == "number" else thing.label.split()
            caption += [words[thing.kind], *(words[word] for word in spoken)]
        captions[i, : len(caption[:CAPTION_LENGTH])] = caption[:CAPTION_LENGTH]
        image_labels["count"][i] = sum(thing.kind == "shape" for thing in scene.objects)
    return TowerBatch(
        pixels_of([scene.image for scene in batch]),
        corners,
        {name: torch.from_numpy(value).flatten(1) for name, value in patch_labels.items()},
        torch.from_numpy(centres).flatten(1, 2),
        {name: torch.from_numpy(value) for name, value in image_labels.items()},
        torch.from_numpy(present),
        torch.from_numpy(captions),
    )
