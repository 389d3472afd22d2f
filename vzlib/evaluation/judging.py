"""Many questions about many images under pruning: one opening per image serves them all."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vzlib.methods.inside.pruned_prefill import Opening, open_prompt, pruned_prefill
from vzlib.methods.inside.schedule import Inside
from vzlib.models.answer import prompt


class Judged(NamedTuple):
    """One question.

    right: greedy decoding would give exactly the answer, end of sequence included.
    places: for each layer `[n]`, which of the image's tokens entered it.
    """

    right: bool
    places: tuple[Tensor, ...]


class _Asked(NamedTuple):
    text: list[int]  # behind the image, with the answer
    question: int  # tokens of it that are the prompt


@torch.no_grad()
def open_images(model: Any, processor: Any, visual: Tensor, depth: int | None = None) -> Opening:
    """Openings of prompts about images, for any method and question.

    visual: `[I, V, D]` projected visual tokens. depth: layers to go through, default all; a method
    profits from those before its first stage. Memory grows with it.
    """
    ids = processor.tokenizer(prompt(processor, ""))["input_ids"]
    before = torch.tensor(ids[: _place_of_image(processor, ids)], device=visual.device)
    embeds = model.get_input_embeddings()(before).expand(len(visual), -1, -1)
    language_model = model.base_model.language_model
    depth = len(language_model.layers) if depth is None else depth
    embeds = torch.cat([embeds, visual.to(embeds.dtype)], dim=1)
    return open_prompt(language_model, embeds, len(before), depth)


@torch.no_grad()
def judge(
    model: Any,
    processor: Any,
    opening: Opening,
    asked: Sequence[Sequence[tuple[str, str]]],
    method: Inside | None,
    *,
    seed: int = 0,
) -> list[list[Judged]]:
    """Whether each question is answered right, and what was kept for it.

    As `vzlib.models.shared_prefix.answered_right`, with pruning: the question alone chooses, the
    true answer follows it, and each of its tokens must be the most likely one.

    opening: of `open_images`, one for each image. asked: its (question, answer) pairs.
    method: None keeps everything. Raises ValueError as `pruned_prefill`, and if openings and images
    differ in number.
    """
    images = opening.hidden[0].shape[0]
    if len(asked) != images:
        raise ValueError(f"questions about {len(asked)} images, but {images} openings")
    rows = [(i, _tokens(processor, *pair)) for i, pairs in enumerate(asked) for pair in pairs]
    judged: list[list[Judged]] = [[] for _ in asked]
    if rows:
        for (i, _), one in zip(rows, _judge(model, opening, rows, method, seed), strict=True):
            judged[i].append(one)
    return judged


def _judge(
    model: Any, opening: Opening, rows: list[tuple[int, _Asked]], method: Inside | None, seed: int
) -> list[Judged]:
    device = opening.hidden[0].device
    texts = [torch.tensor(asked.text[:-1], device=device) for _, asked in rows]
    ids = pad_sequence(texts, batch_first=True)
    pruned = pruned_prefill(
        model.base_model.language_model,
        opening,
        model.get_input_embeddings()(ids),
        method,
        rows=torch.tensor([i for i, _ in rows], device=device),
        asked=torch.tensor([asked.question for _, asked in rows], device=device),
        seed=seed,
    )
    best = model.lm_head(pruned.hidden).argmax(-1).cpu()
    judged = []
    for number, (_, asked) in enumerate(rows):
        said = best[number, asked.question - 1 : len(asked.text) - 1].tolist()
        judged.append(Judged(said == asked.text[asked.question :], pruned.places_of(number)))
    return judged


def _tokens(processor: Any, question: str, answer: str) -> _Asked:
    tokenizer = processor.tokenizer
    bare = tokenizer(prompt(processor, question))["input_ids"]
    full = tokenizer(f"{prompt(processor, question)} {answer}")["input_ids"]
    behind = _place_of_image(processor, full) + 1
    return _Asked([*full[behind:], tokenizer.eos_token_id], len(bare) - behind)


def _place_of_image(processor: Any, ids: list[int]) -> int:
    return ids.index(processor.tokenizer.convert_tokens_to_ids(processor.image_token))
