"""What each patch of a scene shows, and linear heads that read it from visual tokens.

The projector is aligned to these labels, and they go on as a second loss beside that of answers:
a question tells of one thing, the labels of everything that stands in a scene.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vzlib.embedded.pico.examples import labels_of
from vzlib.scenes import sprites
from vzlib.scenes.things import catalogue
from vzlib.training.answers import ABSENT

NAMES = [name for group in catalogue.GROUPS for name in catalogue.names(group)]
KINDS = ("background", "shape", "picture", "number", "word", "digit")
LABELS = {
    "kind": len(KINDS),
    "name": len(NAMES),
    "group": len(catalogue.GROUPS),
    "colour": len(sprites.COLOURS),
    "shape": len(sprites.SHAPES),
    "tens": 10,
    "units": 10,
    "word": len(sprites.WORDS),
    "digit": 10,
}
COVERED = 0.5  # of a patch by the thing that it is said to show
WEIGHT = 0.25  # of each label in the loss


def patch_labels(scene: Any, patch: int) -> Tensor:
    """What each patch shows, `[G * G, len(LABELS)]`, `ABSENT` where a label says nothing.

    A patch that a thing touches without covering half of it is neither thing nor background.
    """
    grid = scene.image.shape[0] // patch
    labels = np.full((grid, grid, len(LABELS)), ABSENT)
    columns = {name: number for number, name in enumerate(LABELS)}
    labels[~scene.patches(patch, share=0.0), columns["kind"]] = 0
    for number, thing in enumerate(scene.objects):
        shown = scene.object_patches(number, patch, COVERED)
        for name, value in told_of(thing).items():
            labels[shown & _digit_half(thing, name, patch, grid), columns[name]] = value
    return torch.from_numpy(labels).flatten(0, 1)


def _digit_half(thing: Any, label: str, patch: int, grid: int) -> np.ndarray:
    """Which columns of patches `[G]` can tell a label: of a number's digits, its half of it."""
    middle = (np.arange(grid) + 0.5) * patch - (thing.left + thing.width / 2)
    if label == "tens":
        return middle < patch / 4
    return middle > -patch / 4 if label == "units" else np.ones(grid, dtype=bool)


def told_of(thing: Any) -> dict[str, int]:
    """What is said of a thing: labels of `LABELS` and their values."""
    labels = labels_of(thing, KINDS)
    if thing.colour is not None:
        labels["colour"] = list(sprites.COLOURS).index(thing.colour)
    if thing.kind == "picture":
        labels["name"] = NAMES.index(thing.label)
        labels["group"] = catalogue.GROUPS.index(thing.group)
    return labels


def label_heads(width: int) -> nn.ModuleDict:
    """A linear head for every label, on tokens of `width` dimensions."""
    return nn.ModuleDict({name: nn.Linear(width, count) for name, count in LABELS.items()})


def label_loss(
    heads: nn.ModuleDict, tokens: Tensor, labels: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy of the labels that say something, and the share right of each.

    tokens: `[N, H]`; labels: `[N, len(LABELS)]` of `patch_labels`.
    """
    total, right = tokens.new_zeros(()), {}
    for column, (name, head) in enumerate(heads.items()):
        said = labels[:, column] != ABSENT
        if said.any():
            scores = head(tokens[said]).float()
            total = total + WEIGHT * F.cross_entropy(scores, labels[said, column])
            best = scores.argmax(dim=-1) == labels[said, column]
            right[name] = best.float().mean().item()
    return total, right
