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

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import LlavaForConditionalGeneration

from vzlib.embedded.dino.decks import DECKS
from vzlib.embedded.dino.distil import pairs
from vzlib.embedded.dino.features import Features
from vzlib.embedded.dino.labels import label_heads, label_loss, patch_labels
from vzlib.embedded.dino.language import StandardisedProjector
from vzlib.training.answers import ABSENT
from vzlib.training.loop import train

BATCH = 1024  # patches a step


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
    heads = label_heads(tokens.shape[1])
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
        of_guess, right = label_loss(heads, guess, labels[rows])
        of_tokens, _ = label_loss(heads, tokens[rows][own], labels[rows[own]])
        return left + of_guess + of_tokens, logs | right

    train({"projector": projector, "heads": heads}, loss, name="align", folder=folder, steps=steps,
          rate=2e-3, warmup=50, decay=0.5, weight_decay=0.05, dtype=torch.float32)  # fmt: skip
