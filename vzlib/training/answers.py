"""The language loss: many questions behind one image, which is their common prefix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import LlavaForConditionalGeneration

from vzlib import scenes
from vzlib.models.shared_prefix import NO_BLOCK, block_mask

ABSENT = -100  # where a label says nothing; the losses ignore it


@dataclass(frozen=True)
class Asked:
    """For each of B images, its questions one behind the other in L tokens.

    All `[B, L]`: ids, block (number of the question a token belongs to, -1 for padding), place (of
    the token in its question), target (the token to be predicted, `ABSENT` outside answers), task
    (of the question).
    """

    ids: Tensor
    block: Tensor
    place: Tensor
    target: Tensor
    task: Tensor

    def to(self, device: torch.device | str) -> Self:
        """The same on another device."""
        return replace(self, **{name: part.to(device) for name, part in vars(self).items()})


def pack(
    images: Sequence[Sequence[scenes.Question]], vocabulary: Mapping[str, int], tasks: Sequence[str]
) -> Asked:
    """Questions and answers as tokens, one sequence of `images` per image.

    vocabulary: number of every word; tasks: their names in the order of their numbers.
    """
    rows = []
    for questions in images:
        row = []  # (ids, block, place, target, task) per token
        for number, question in enumerate(questions):
            words = [*question.text.split(), "ASSISTANT:", *question.answer.split(), "</s>"]
            tokens = [vocabulary[word] for word in words]
            start = words.index("ASSISTANT:")
            about = tasks.index(question.task)
            row += [
                (tokens[i], number, i, tokens[i + 1] if i >= start else ABSENT, about)
                for i in range(len(tokens) - 1)
            ]
        rows.append(row)
    length = max(map(len, rows))
    padded = [row + [(0, NO_BLOCK, 0, ABSENT, 0)] * (length - len(row)) for row in rows]
    return Asked(*torch.tensor(padded).unbind(-1))


def hidden_states(
    model: LlavaForConditionalGeneration,
    visual: Tensor,
    asked: Asked,
    opening: Sequence[int],
    places: Tensor | None = None,
) -> tuple[Tensor, int]:
    """Last hidden states `[B, L, H]` of the questions, and the position of their first token.

    visual: `[B, K, H]` projected tokens; opening: the tokens that stand before the image.
    places: `[B, K]` positions of the visual tokens behind the opening, if they are not 0 to K - 1
        (a window of a larger image); the questions then stand behind all of the larger image.
    """
    embed = model.get_input_embeddings()
    device, count = visual.device, len(visual)
    first = embed(torch.tensor([opening], device=device)).expand(count, -1, -1)
    embeds = torch.cat([first, visual, embed(asked.ids)], dim=1)
    prefix = len(opening) + visual.shape[1]
    positions = torch.arange(prefix, device=device).expand(count, -1)
    end = prefix
    if places is not None:
        positions = torch.cat([positions[:, : len(opening)], len(opening) + places], dim=1)
        end = len(opening) + model.config.image_seq_length
    hidden = model.model.language_model(
        inputs_embeds=embeds,
        attention_mask=block_mask(asked.block, prefix),
        position_ids=torch.cat([positions, end + asked.place], dim=1),
        use_cache=False,
    ).last_hidden_state[:, prefix:]
    return hidden, end


def answer_loss(
    model: LlavaForConditionalGeneration,
    hidden: Tensor,
    asked: Asked,
    tasks: Sequence[str],
    weights: Mapping[str, float] | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy of the answers and, to log, the share of answers all right per task.

    hidden: `[B, L, H]` of `hidden_states`; weights: of the tokens of a task, where it is not 1.
    A task that was not asked is not logged.
    """
    places = (asked.target != ABSENT).nonzero(as_tuple=True)
    scores = model.lm_head(hidden[places]).float()
    right = scores.argmax(-1) == asked.target[places]
    question = places[0] * (1 + int(asked.block.max())) + asked.block[places]
    logs = {}
    for number, task in enumerate(tasks):
        mine = asked.task[places] == number
        if count := question[mine].unique().numel():
            logs[task] = 1 - question[mine & ~right].unique().numel() / count
    loss = F.cross_entropy(scores, asked.target[places], reduction="none")
    weigh = torch.tensor([(weights or {}).get(task, 1.0) for task in tasks], device=loss.device)
    weight = weigh[asked.task[places]]
    return (loss * weight).sum() / weight.sum(), logs
