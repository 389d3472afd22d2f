"""What the language model is told of its visual tokens while it learns, as pico's tower was.

Of which frame a token is, which only the words before the frame say; and whether the thing on it is
new, stays, has moved or is shown again. Answers are made of these, and answers alone teach them
slowly. The heads that are trained on them are thrown away.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vzlib.scenes import clips
from vzlib.training.answers import ABSENT

BACKGROUND, NEW, STAYS, MOVED, AGAIN = range(5)
FRAME_LAYER, EVENT_LAYER = 2, 4  # of the language model, after which they are read


class Notes(nn.Module):
    """Linear heads on the states of two layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.frame = nn.Linear(width, clips.FRAMES)
        self.event = nn.Linear(width, 5)


def events(clip: clips.Clip) -> Tensor:
    """What happens on every patch, `[F, G * G]`; `ABSENT` on those that a thing hardly touches."""
    told = np.where(clip.patches(share=0.02), ABSENT, BACKGROUND)
    for name, places in clip.shown.items():
        before = None
        for where in places:
            if before is None:
                event = NEW
            elif clip.kind == "album":
                event = AGAIN
            else:
                event = STAYS if where[1:] == before[1:] else MOVED
            before = where
            frame = clip.frames[where.frame]
            number = [thing.name for thing in frame.objects].index(name)
            told[where.frame][frame.object_patches(number, share=0.3)] = event
    return torch.from_numpy(told).flatten(1)


def loss(
    notes: Notes, states: tuple[Tensor, ...], places: Tensor, labels: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy of both, each class of events alike, and to log, the shares that are right.

    states: of `output_hidden_states`, `[B, L, H]` each. places: `[F, keep]` of the visual tokens in
    them. labels: `[B, F, keep]` of `events`.
    """
    frames = torch.arange(len(places))[:, None].expand(places.shape).flatten()
    width = states[0].shape[-1:]

    def read(head: nn.Linear, layer: int) -> Tensor:
        told: Tensor = head(F.layer_norm(states[layer][:, places.flatten()], width))
        return told.float().flatten(0, 1)

    which, what = read(notes.frame, FRAME_LAYER), read(notes.event, EVENT_LAYER)
    frames, told = frames.repeat(len(labels)), labels.flatten()
    counts = torch.bincount(told[told >= 0], minlength=notes.event.out_features)
    weights = 1 / counts.clamp(min=1).sqrt()
    value = F.cross_entropy(which, frames) + F.cross_entropy(
        what, told, weight=weights, ignore_index=ABSENT
    )
    things = told > BACKGROUND
    right = what.argmax(-1) == told
    return value, {
        "which frame": float((which.argmax(-1) == frames).float().mean()),
        "what happens": float(right[things].float().mean()) if things.any() else float("nan"),
    }
