"""The language loss of dino-llava on kept features, and how scenes are visited."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

from vzlib.embedded.dino.decks import TASKS, questions
from vzlib.embedded.dino.features import Features
from vzlib.embedded.dino.grounding import WEIGHT as GROUNDING
from vzlib.embedded.dino.grounding import attended, grounding_loss, targets
from vzlib.embedded.dino.labels import label_loss
from vzlib.embedded.dino.tower import GRID
from vzlib.embedded.pico.architecture import SPECIAL
from vzlib.training.answers import Asked, answer_loss, hidden_states, pack

OPENING = [SPECIAL.index(word) for word in ("<s>", "USER:")]  # what stands before the image
# What is learnt last: many names and digits, few questions about each.
WEIGHTS = {"which": 4.0, "reading": 3.0, "detail": 3.0}


class StandardisedProjector(nn.Module):
    """A stock projector behind features whose every dimension has mean 0 and spread 1.

    It trains faster so; `bake` makes it an equal projector of the features as they are.
    """

    stock: Any
    mean: Tensor
    spread: Tensor

    def __init__(self, stock: nn.Module) -> None:
        super().__init__()
        self.stock = stock
        width: int = self.stock.linear_1.in_features
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))

    def forward(self, features: Tensor) -> Tensor:
        """Visual tokens `[..., H]` of features `[..., D]`."""
        return self.stock((features - self.mean) / self.spread)

    @torch.no_grad()
    def standardise(self, seen: Tensor) -> None:
        """Takes mean and spread from features `[N, D]`; visual tokens stay as they were."""
        first = self.stock.linear_1
        mean, spread = seen.mean(dim=0), seen.std(dim=0)
        first.bias.add_(first.weight @ ((mean - self.mean) / self.spread))
        first.weight.mul_(spread / self.spread)
        self.mean.copy_(mean)
        self.spread.copy_(spread)

    @torch.no_grad()
    def bake(self) -> nn.Module:
        """The stock projector, mean and spread now part of its first layer."""
        first = self.stock.linear_1
        first.weight.div_(self.spread)
        first.bias.sub_(first.weight @ self.mean)
        self.mean.zero_()
        self.spread.fill_(1)
        return self.stock


@dataclass(frozen=True)
class Visits:
    """Scenes in pools that are gone through several times, in another order each time.

    pool: scenes in a pool; times: visits of each before the next pool.
    """

    pool: int
    times: int
    seed: int = 0

    def numbers(self, step: int, count: int) -> tuple[list[int], int]:
        """The `count` scenes of a step, and which visit of theirs it is; `count` divides `pool`."""
        round_, place = divmod(step * count, self.pool)
        pool, visit = divmod(round_, self.times)
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + round_)
        order = torch.randperm(self.pool, generator=generator)[place : place + count]
        return (pool * self.pool + order).tolist(), visit


def language_loss(
    model: LlavaForConditionalGeneration,
    projector: StandardisedProjector,
    vocabulary: Mapping[str, int],
    features: Features,
    numbers: Sequence[int],
    each: Mapping[str, int],
    visit: int,
    heads: nn.ModuleDict | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy of the answers about some scenes and the share all right per task.

    With `heads` also that of the labels of their patches, and the share of these that is right.
    """
    asked = asked_about(features, numbers, each, visit, vocabulary).to(model.device)
    visual = projector(features(numbers).to(model.device))
    with attended(model) as caught:
        hidden, _ = hidden_states(model, visual, asked, OPENING, window_places(features, numbers))
    value, right = answer_loss(model, hidden, asked, TASKS, WEIGHTS)
    if heads is None:
        return value, right
    labels = features.labels(numbers).to(model.device)
    if caught:
        scenes = [features.asked_about(number) for number in numbers]
        words, found = targets(asked, labels, scenes, vocabulary)
        of_words, share = grounding_loss(caught, asked, words, found, len(OPENING))
        value, right = value + GROUNDING * of_words, right | {"grounded": share}
    of_labels, read = label_loss(heads, visual.flatten(0, 1), labels.flatten(0, 1))
    return value + of_labels, right | {f"patch {name}": share for name, share in read.items()}


def asked_about(
    features: Features,
    numbers: Sequence[int],
    each: Mapping[str, int],
    visit: int,
    vocabulary: Mapping[str, int],
) -> Asked:
    """The questions of a visit about some scenes, as tokens."""
    corners = features.corners(numbers).tolist()
    return pack(
        [
            questions(features.deck, features.asked_about(number), corner, each, visit)
            for number, corner in zip(numbers, corners, strict=True)
        ],
        vocabulary,
        TASKS,
    )


def window_places(features: Features, numbers: Sequence[int]) -> Tensor | None:
    """Raster positions `[B, G * G]` of windows on the full grid; None of whole images."""
    if features.grid == GRID:
        return None
    corners, steps = features.corners(numbers), torch.arange(features.grid)
    rows, columns = corners[:, 0, None, None] + steps[:, None], corners[:, 1, None, None] + steps
    return (rows * GRID + columns).flatten(1)
