"""What the projector and the language model are trained on: many questions for one image prefix."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPVisionModel, LlavaForConditionalGeneration, PreTrainedTokenizerFast

from vzlib import scenes
from vzlib.embedded.pico.architecture import FEATURE_LAYER, GRID, SPECIAL, VISION, encode_window
from vzlib.embedded.pico.examples import ABSENT, corners_of, pixels_of
from vzlib.models.shared_prefix import block_mask

TASKS = (*scenes.TASKS, "half")  # the last one is asked in training only
EVEN = dict.fromkeys(TASKS, 4)
# Where things are is learned last, so the last stage asks for it most.
RELATIONS = {
    "existence": 1, "attribute": 2, "counting": 5, "reading": 1, "relation": 10, "half": 5,
}  # fmt: skip
OPENING = [SPECIAL.index(word) for word in ("<s>", "USER:")]  # what stands before the image


@dataclass(frozen=True)
class LanguageBatch:
    """B images and, for each, its questions one behind the other in L tokens.

    pixels `[B, 3, P, P]`; corners `[B, 2]`; and, all `[B, L]`: ids, block (number of the question a
    token belongs to, -1 for padding), place (of the token in its question), target (the token to be
    predicted, `ABSENT` outside answers), task (of the question).
    """

    pixels: Tensor
    corners: Tensor
    ids: Tensor
    block: Tensor
    place: Tensor
    target: Tensor
    task: Tensor


def language_batch(
    tokenizer: PreTrainedTokenizerFast,
    first: int,
    count: int,
    grid: int,
    each: Mapping[str, int],
    seed: int,
) -> LanguageBatch:
    """Training scenes `first` to `first + count - 1`, up to `each[task]` questions of a task."""
    vocabulary = tokenizer.get_vocab()
    batch = [scenes.make(first + i, "train", seed=seed, grid=grid) for i in range(count)]
    rows = []
    corners = corners_of(first, count, grid)
    for scene, corner in zip(batch, corners.tolist(), strict=True):
        row = []  # (ids, block, place, target, task) per token
        for number, question in enumerate(
            [*scenes.ask(scene, each), *halves(scene, corner, each["half"])]
        ):
            words = [*question.text.split(), "ASSISTANT:", *question.answer.split(), "</s>"]
            tokens = [vocabulary[word] for word in words]
            start = words.index("ASSISTANT:")
            about = TASKS.index(question.task)
            row += [
                (tokens[i], number, i, tokens[i + 1] if i >= start else ABSENT, about)
                for i in range(len(tokens) - 1)
            ]
        rows.append(row)
    length = max(map(len, rows))
    padded = [row + [(0, -1, 0, ABSENT, 0)] * (length - len(row)) for row in rows]
    ids, block, place, target, task = torch.tensor(padded).unbind(-1)
    pixels = pixels_of([scene.image for scene in batch])
    return LanguageBatch(pixels, corners, ids, block, place, target, task)


def halves(scene: scenes.Scene, corner: list[int], most: int) -> list[scenes.Question]:
    """In which half of the full grid a thing lies, for up to `most` things of unmistakable names.

    The first half of a relation: where one thing is.
    corner: row and column of the scene on the full grid, in patches.
    """
    counts = Counter(thing.name for thing in scene.objects)
    questions = []
    for number, thing in enumerate(scene.objects):
        if counts[thing.name] > 1:
            continue
        for axis, words in enumerate((("left", "right"), ("above", "below"))):
            place = thing.centre[axis] / scenes.PATCH + corner[1 - axis] - GRID / 2
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


def hidden_states(
    model: LlavaForConditionalGeneration, features: Tensor, batch: LanguageBatch
) -> tuple[Tensor, int]:
    """Last hidden states `[B, L, H]` of the questions, and the length of their prefix.

    features: `[B, K, D]` of the tower, not yet projected.
    """
    visual = model.model.multi_modal_projector(features)
    embed = model.get_input_embeddings()
    opening = embed(torch.tensor([OPENING])).expand(len(visual), -1, -1)
    embeds = torch.cat([opening, visual, embed(batch.ids)], dim=1)
    prefix = len(OPENING) + visual.shape[1]
    places = torch.arange(prefix).expand(len(visual), -1)
    hidden = model.model.language_model(
        inputs_embeds=embeds,
        attention_mask=block_mask(batch.block, prefix),
        position_ids=torch.cat([places, prefix + batch.place], dim=1),
        use_cache=False,
    ).last_hidden_state[:, prefix:]
    return hidden, prefix


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
    hidden, _ = hidden_states(model, keep_some(features, step, whole), batch)
    asked = (batch.target != ABSENT).nonzero(as_tuple=True)
    scores = model.lm_head(hidden[asked]).float()
    right = scores.argmax(-1) == batch.target[asked]
    logs = {}
    for number, task in enumerate(TASKS):
        mine = batch.task[asked] == number
        question = (asked[0] * 1000 + batch.block[asked])[mine]
        wrong = question[~right[mine]].unique().numel()
        logs[task] = 1 - wrong / max(1, question.unique().numel())
    return F.cross_entropy(scores, batch.target[asked]), logs
