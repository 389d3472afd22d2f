"""What the frozen tower sees of the training scenes, computed once and kept on disk."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import Dinov2Model

from vzlib.embedded.dino.architecture import (
    FEATURE_LAYERS,
    build_image_processor,
    encode_window,
)
from vzlib.embedded.dino.decks import DECKS
from vzlib.embedded.dino.labels import patch_labels
from vzlib.embedded.dino.tower import GRID, PATCH
from vzlib.embedded.pico.examples import corners_of
from vzlib.scenes import Split

CHUNK = 32  # scenes in a file: 7 MB of windows, 28 MB of whole images


class Features:
    """Features of the layers read of the scenes of a deck, in files of `CHUNK` scenes.

    A file that is missing is computed and written; so training starts at once, computes each scene
    once, and can be killed at any moment.

    tower: frozen; folder: where the files are; deck: a name of `DECKS`; grid: patches a side, less
        than 24 for windows of the full grid.
    """

    def __init__(
        self,
        tower: Dinov2Model,
        folder: Path,
        deck: str,
        *,
        grid: int = GRID,
        seed: int = 0,
        split: Split = "train",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        version = DECKS[deck].version
        self.tower, self.folder, self.deck = tower, folder, deck
        self.grid, self.seed, self.split, self.dtype = grid, seed, split, dtype
        layers = "".join(str(layer) for layer in FEATURE_LAYERS)
        numbers = "" if dtype == torch.float32 else f"-{str(dtype).removeprefix('torch.')}"
        self.name = f"{deck}-{version}-{split}-{seed}-{grid}-layers{layers}{numbers}"
        self.processor = build_image_processor()
        self._opened: dict[int, np.ndarray] = {}
        self._known: dict[int, tuple[Any, Tensor]] = {}

    def __call__(self, numbers: Sequence[int]) -> Tensor:
        """Patch features `[B, G * G, D * F]` in float32 of scenes by their numbers."""
        rows = [self._chunk(number // CHUNK)[number % CHUNK] for number in numbers]
        return torch.from_numpy(np.stack(rows)).float()

    def corners(self, numbers: Sequence[int]) -> Tensor:
        """Where each scene stands on the full grid, `[B, 2]` (row, column, in patches)."""
        return torch.cat([corners_of(number, 1, self.grid) for number in numbers])

    def scene(self, number: int) -> Any:
        """Scene `number` of the deck, drawn."""
        return DECKS[self.deck].make(number, self.split, seed=self.seed, grid=self.grid)

    def asked_about(self, number: int) -> Any:
        """Scene `number` without its pixels, which questions need not; kept for its next visit."""
        return self._drawn(number)[0]

    def labels(self, numbers: Sequence[int]) -> Tensor:
        """What each patch of scenes shows, `[B, G * G, len(LABELS)]`, see `align.patch_labels`."""
        return torch.stack([self._drawn(number)[1] for number in numbers])

    def _drawn(self, number: int) -> tuple[Any, Tensor]:
        if number not in self._known:
            self._remember(number, self.scene(number))
        return self._known[number]

    def _remember(self, number: int, scene: Any) -> None:
        labels = patch_labels(scene, DECKS[self.deck].patch)
        self._known[number] = replace(scene, image=np.empty((0, 0, 3), np.uint8)), labels

    def _chunk(self, chunk: int) -> np.ndarray:
        if chunk not in self._opened:
            path = self.folder / f"{self.name}-{chunk}.npy"
            if not path.exists():
                self._write(path, chunk)
            self._opened[chunk] = np.load(path, mmap_mode="r")
        return self._opened[chunk]

    def _write(self, path: Path, chunk: int) -> None:
        numbers = range(chunk * CHUNK, (chunk + 1) * CHUNK)
        kept = []
        for start in range(0, CHUNK, 4):
            own = numbers[start : start + 4]
            pixels = torch.cat([self.pixels(number) for number in own])
            kind, dtype = self.tower.device.type, self.dtype
            with torch.no_grad(), torch.autocast(kind, dtype, enabled=dtype != torch.float32):
                seen = encode_window(self.tower, pixels.to(self.tower.device), self.corners(own))
            kept.append(seen[:, 1:].half().cpu().numpy())
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        with unfinished.open("wb") as file:
            np.save(file, np.concatenate(kept))
        os.replace(unfinished, path)

    def pixels(self, number: int) -> Tensor:
        """A scene as the tower is given it, `[1, 3, P, P]` with P = 14 pixels a patch."""
        side, scene = self.grid * PATCH, self.scene(number)
        self._remember(number, scene)
        return self.processor(
            scene.image,
            size={"shortest_edge": side},
            crop_size={"height": side, "width": side},
            return_tensors="pt",
        ).pixel_values
