"""Training clips and albums in the order of their visits, with what the frozen tower sees of them.

Of a block of `BLOCK` batches each is visited `VISITS` times, in another order and mixture each
time, so that the tower looks once where the language model learns four times.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPVisionModel

from vzlib.embedded.pico.architecture import FEATURE_LAYER, encode_window
from vzlib.embedded.pico.examples import pixels_of
from vzlib.embedded.video.architecture import CORNER, GRID
from vzlib.embedded.video.notes import events
from vzlib.scenes import clips

BLOCK, VISITS = 8, 6
MAKE: dict[str, Any] = {"clip": clips.clip, "album": clips.album}


@dataclass(frozen=True)
class Seen:
    """One clip: its features `[F, 1 + G * G, D]`, CLS first, and the patches that things touch.

    touched: `[F, G * G]` bool. events: `[F, G * G]`, see `notes.events`.
    """

    clip: clips.Clip
    features: Tensor
    touched: Tensor
    events: Tensor


class Sequence:
    """Clips, or albums, of `grid` patches a side, `count` a batch, from number `first` on."""

    def __init__(
        self, tower: CLIPVisionModel, kind: str, *, count: int, grid: int, first: int, seed: int
    ) -> None:
        self.tower, self.kind, self.seed = tower, kind, seed
        self.count, self.grid, self.first = count, grid, first
        self._block, self._seen = -1, list[Seen]()

    def __call__(self, turn: int) -> list[Seen]:
        """Batch number `turn`; the same whatever was asked for before."""
        block, within = divmod(turn, BLOCK * VISITS)
        if block != self._block:
            start = self.first + block * BLOCK * self.count
            self._seen = [self._look(start + i) for i in range(BLOCK * self.count)]
            self._block = block
        visit, place = divmod(within, BLOCK)
        generator = torch.Generator().manual_seed(block * VISITS + visit)
        order = torch.randperm(len(self._seen), generator=generator).tolist()
        return [self._seen[i] for i in order[place * self.count : (place + 1) * self.count]]

    @torch.no_grad()
    def _look(self, number: int) -> Seen:
        clip = MAKE[self.kind](number, "train", seed=self.seed, grid=self.grid)
        generator = torch.Generator().manual_seed(number)
        corner = CORNER + torch.randint(0, GRID - self.grid + 1, (1, 2), generator=generator)
        pixels = pixels_of([frame.image for frame in clip.frames]).to(self.tower.dtype)
        depth = FEATURE_LAYER % (self.tower.config.num_hidden_layers + 1)
        features = encode_window(self.tower, pixels, corner.expand(len(pixels), 2), depth)[-1]
        touched = torch.from_numpy(clip.patches(share=0.05)).flatten(1)
        return Seen(clip, features, touched, events(clip))
