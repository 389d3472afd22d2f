"""What the projector and the language model are trained on: many questions for one image prefix."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor
from transformers import CLIPVisionModel, LlavaForConditionalGeneration, PreTrainedTokenizerFast

from vzlib import scenes
from vzlib.embedded.pico.architecture import FEATURE_LAYER, GRID, SPECIAL, VISION, encode_window
from vzlib.embedded.pico.examples import corners_of, pixels_of
from vzlib.training.answers import Asked, answer_loss, hidden_states, pack

TASKS = (*scenes.TASKS, "half")  # the last one is asked in training only
EVEN = dict.fromkeys(TASKS, 4)
# Where things are is learned last, so the last stage asks for it most.
RELATIONS = {
    "existence": 1, "attribute": 2, "counting": 5, "reading": 1, "relation": 10, "half": 5,
}  # fmt: skip
OPENING = [SPECIAL.index(word) for word in ("<s>", "USER:")]  # what stands before the image


@dataclass(frozen=True)
class LanguageBatch(Asked):
    """B images `[B, 3, P, P]`, their corners `[B, 2]` on the full grid, and what is asked."""

    pixels: Tensor
    corners: Tensor


def language_batch(
    tokenizer: PreTrainedTokenizerFast,
    first: int,
    count: int,
    grid: int,
    each: Mapping[str, int],
    seed: int,
) -> LanguageBatch:
    """Training scenes `first` to `first + count - 1`, up to `each[task]` questions of a task."""
    batch = [scenes.make(first + i, "train", seed=seed, grid=grid) for i in range(count)]
    corners = corners_of(first, count, grid)
    questions = [
        [*scenes.ask(scene, each), *halves(scene, corner, each["half"])]
        for scene, corner in zip(batch, corners.tolist(), strict=True)
    ]
    asked = pack(questions, tokenizer.get_vocab(), TASKS)
    return LanguageBatch(**vars(asked), pixels=pixels_of([s.image for s in batch]), corners=corners)


def halves(
    scene: scenes.Scene, corner: list[int], most: int, patch: int = scenes.PATCH
) -> list[scenes.Question]:
    """In which half of the full grid a thing lies, for up to `most` things of unmistakable names.

    The first half of a relation: where one thing is.
    corner: row and column of the scene on the full grid, in patches of `patch` pixels.
    """
    counts = Counter(thing.name for thing in scene.objects)
    questions = []
    for number, thing in enumerate(scene.objects):
        if counts[thing.name] > 1:
            continue
        for axis, words in enumerate((("left", "right"), ("above", "below"))):
            place = thing.centre[axis] / patch + corner[1 - axis] - GRID / 2
            text = f"is the {thing.name} {words[0]} or {words[1]} ?"
            if abs(place) >= 1:
                questions.append(scenes.Question("half", text, words[place > 0], (number,)))
    return Random(scene.index).sample(questions, min(most, len(questions)))


def keep_some(features: Tensor, step: int, whole: float) -> Tensor:
    """All of `[B, N, D]` (in a share `whole` of the steps), or a random 11 to 100 %, in order.

    So that the language model is not brittle to the mere length of its prefix.
    """
    generator = torch.Generator().manual_seed(step)
    if torch.rand((), generator=generator) < whole:
        return features
    count = features.shape[1]
    kept = int(count * (1 / 9 + 8 / 9 * torch.rand((), generator=generator)))
    order = torch.rand(features.shape[:2], generator=generator).argsort(dim=1)[:, :kept]
    index = order.sort(dim=1).values.unsqueeze(-1).expand(-1, -1, features.shape[-1])
    return features.gather(1, index)


def language_loss(
    tower: CLIPVisionModel,
    model: LlavaForConditionalGeneration,
    batch: LanguageBatch,
    step: int,
    whole: float,
) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy of the answers and, to log, the share of answers all right per task.

    whole: share of the steps that see every patch, see `keep_some`.
    """
    depth = FEATURE_LAYER % (VISION.num_hidden_layers + 1)
    with torch.no_grad():
        features = encode_window(tower, batch.pixels, batch.corners, depth)[-1][:, 1:]
    visual = model.model.multi_modal_projector(keep_some(features, step, whole))
    hidden, _ = hidden_states(model, visual, batch, OPENING)
    return answer_loss(model, hidden, batch, TASKS)
