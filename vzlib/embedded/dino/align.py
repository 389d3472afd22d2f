"""Dense alignment of the projector: each patch tells what it shows, read by linear heads.

On crowded sheets. A patch of the first deck has two teachers, pico's visual token and its labels;
one of the second has its labels, among them the names of real things, which pico never saw.

The heads read pico's tokens as well, so that both write a digit in the same directions; a real
thing is written in the direction in which the language model says its name, so that it need only
learn to copy. The heads are thrown away.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlavaForConditionalGeneration

from vzlib.embedded.dino.decks import DECKS
from vzlib.embedded.dino.distil import pairs
from vzlib.embedded.dino.features import Features
from vzlib.embedded.dino.language import StandardisedProjector
from vzlib.scenes import sprites
from vzlib.scenes.things import catalogue
from vzlib.training.answers import ABSENT
from vzlib.training.loop import train

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
BATCH = 1024  # patches a step
COVERED = 0.5  # of a patch by the thing that it is said to show


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
        for name, value in _labels_of(thing).items():
            labels[shown & _digit_half(thing, name, patch, grid), columns[name]] = value
    return torch.from_numpy(labels).flatten(0, 1)


def _digit_half(thing: Any, label: str, patch: int, grid: int) -> np.ndarray:
    """Which columns of patches `[G]` can tell a label: of a number's digits, its half of it."""
    middle = (np.arange(grid) + 0.5) * patch - (thing.left + thing.width / 2)
    if label == "tens":
        return middle < patch / 4
    return middle > -patch / 4 if label == "units" else np.ones(grid, dtype=bool)


def _labels_of(thing: Any) -> dict[str, int]:
    labels = {"kind": KINDS.index(thing.kind)}
    if thing.colour is not None:
        labels["colour"] = list(sprites.COLOURS).index(thing.colour)
    match thing.kind:
        case "picture":
            labels["name"] = NAMES.index(thing.label)
            labels["group"] = catalogue.GROUPS.index(thing.group)
        case "shape":
            labels["shape"] = sprites.SHAPES.index(thing.shape)
        case "number":
            labels["tens"], labels["units"] = map(int, thing.label)
        case "word":
            labels["word"] = sprites.WORDS.index(thing.label)
        case "digit":
            labels["digit"] = int(thing.label)
    return labels


@torch.no_grad()
def known(
    pico: LlavaForConditionalGeneration, features: Features, numbers: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Of all patches of scenes: features, pico's tokens (NaN if not of its deck), labels.

    `[N, D]`, `[N, H]`, `[N, len(LABELS)]`, of those that show one thing or background alone.
    """
    patch = DECKS[features.deck].patch
    labels = torch.cat([patch_labels(features.scene(number), patch) for number in numbers])
    if features.deck.startswith("shapes"):
        seen, tokens, _ = pairs(pico, features, numbers)
    else:
        seen = features(numbers).flatten(0, 1)
        text: Any = pico.config.text_config
        tokens = torch.full((len(seen), text.hidden_size), float("nan"))
    kept = (labels != ABSENT).any(dim=1)
    return seen[kept], tokens[kept], labels[kept]


def align(
    projector: StandardisedProjector,
    seen: Tensor,
    tokens: Tensor,
    labels: Tensor,
    spoken: Tensor,
    *,
    folder: Path,
    steps: int,
) -> None:
    """Trains the projector on what `known` gave; logs the share right per label.

    spoken: `[len(NAMES), H]`, with what the language model says each of `NAMES`.
    """
    heads = nn.ModuleDict(
        {name: nn.Linear(tokens.shape[1], count) for name, count in LABELS.items()}
    )
    name_head: Any = heads["name"]
    name_head.weight.data.copy_(F.normalize(spoken - spoken.mean(dim=0), dim=1))
    name_head.weight.requires_grad_(False)
    taught = ~tokens[:, 0].isnan()
    variance = tokens[taught].var(dim=0).mean()
    objects = (labels[:, 0] != 0).nonzero()[:, 0]
    ground = (labels[:, 0] == 0).nonzero()[:, 0]

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = torch.Generator().manual_seed(step)
        rows = torch.cat(
            [
                part[torch.randint(len(part), (count,), generator=generator)]
                for part, count in ((objects, BATCH * 3 // 4), (ground, BATCH // 4))
            ]
        )
        guess = projector(seen[rows].float())
        own = taught[rows]
        left = F.mse_loss(guess[own], tokens[rows][own]) / variance
        logs = {"left": left.item()}
        total = left
        for column, (name, head) in enumerate(heads.items()):
            for given, known_rows in ((guess, rows), (tokens[rows][own], rows[own])):
                asked = labels[known_rows, column] != ABSENT
                if asked.any():
                    right = labels[known_rows, column][asked]
                    scores = head(given[asked])
                    total = total + F.cross_entropy(scores, right) / 4
                    if given is guess:
                        logs[name] = (scores.argmax(-1) == right).float().mean().item()
        return total, logs

    train({"projector": projector, "heads": heads}, loss, name="align", folder=folder, steps=steps,
          rate=2e-3, warmup=50, decay=0.5, weight_decay=0.05, dtype=torch.float32)  # fmt: skip
