"""Many questions about one image in one forward pass: they share the image as their prefix.

Each question attends to the prefix and to itself alone and counts its positions from the prefix, so
its logits are those of a pass of its own.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from vzlib.models.answer import prompt

NO_BLOCK, PREFIX = -1, -2


def block_mask(block: Tensor, prefix: int) -> Tensor:
    """Additive attention mask `[B, 1, prefix + L, prefix + L]` for questions behind a prefix.

    block: `[B, L]` number of the question that a token belongs to, `NO_BLOCK` for padding.
    prefix: tokens before the questions, causal among themselves.
    """
    first = block.new_full((len(block), prefix), PREFIX)
    return owner_mask(torch.cat([first, block], dim=1))


def owner_mask(owner: Tensor) -> Tensor:
    """The same `[B, 1, L, L]` for tokens `[B, L]`, each of which names its question or `PREFIX`."""
    length = owner.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=owner.device).tril()
    same = (owner[:, :, None] == owner[:, None]) | (owner[:, None] == PREFIX)
    mask = torch.zeros(same.shape, device=owner.device)
    return mask.masked_fill(~(same & causal), float("-inf")).unsqueeze(1)


@torch.no_grad()
def answered_right(
    model: Any, processor: Any, visual: Tensor, asked: Sequence[Sequence[tuple[str, str]]]
) -> list[list[bool]]:
    """Whether greedy decoding would give exactly each answer, end of sequence included.

    Greedy decoding gives an answer if and only if every one of its tokens is the most likely one
    behind the true tokens before it, which one pass tells.

    model: a LLaVA with a decoder that takes a 4-D mask (eager or sdpa attention).
    visual: `[B, K, H]` projected visual tokens, one row per image.
    asked: for each image its (question, answer) pairs.
    """
    opening, rows = _tokens(processor, asked)
    length = max(sum(len(question) - 1 for question, _ in row) for row in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    block, place = torch.full_like(ids, NO_BLOCK), torch.zeros_like(ids)
    for i, row in enumerate(rows):
        end = 0
        for number, (question, _) in enumerate(row):
            start, end = end, end + len(question) - 1  # nothing follows the last token
            ids[i, start:end] = torch.tensor(question[:-1])
            block[i, start:end] = number
            place[i, start:end] = torch.arange(len(question) - 1)

    device, embed = visual.device, model.get_input_embeddings()
    first = embed(torch.tensor(opening, device=device)).expand(len(rows), -1, -1)
    embeds = torch.cat([first, visual.to(first.dtype), embed(ids.to(device))], dim=1)
    prefix = embeds.shape[1] - length
    positions = torch.cat([torch.arange(prefix).expand(len(rows), -1), prefix + place], dim=1)
    hidden = model.model.language_model(
        inputs_embeds=embeds,
        attention_mask=block_mask(block.to(device), prefix).to(embeds.dtype),
        position_ids=positions.to(device),
        use_cache=False,
    ).last_hidden_state[:, prefix:]
    best = model.lm_head(hidden).argmax(-1).cpu()
    verdicts: list[list[bool]] = []
    for i, row in enumerate(rows):
        verdicts.append([])
        for number, (question, answer) in enumerate(row):
            said = best[i][block[i] == number][-answer:].tolist()
            verdicts[-1].append(said == question[-answer:])
    return verdicts


def _tokens(
    processor: Any, asked: Sequence[Sequence[tuple[str, str]]]
) -> tuple[list[int], list[list[tuple[list[int], int]]]]:
    """The ids before the image, and for each question those behind it with its answer's length."""
    told = [[tokens_of_question(processor, *pair) for pair in pairs] for pairs in asked]
    opening = next(opening for row in told for opening, *_ in row)
    return opening, [[(ids, answer) for _, ids, answer in row] for row in told]


@lru_cache(maxsize=4096)  # the same questions are asked of many ways
def tokens_of_question(
    processor: Any, question: str, answer: str
) -> tuple[list[int], list[int], int]:
    """The ids before the image and behind it, and how many of these are the answer's."""
    tokenizer, asking = processor.tokenizer, prompt(processor, question)
    bare = tokenizer(asking)["input_ids"]
    full = tokenizer(f"{asking} {answer}")["input_ids"]
    full.append(tokenizer.eos_token_id)
    at = full.index(tokenizer.convert_tokens_to_ids(processor.image_token))
    return full[:at], full[at + 1 :], len(full) - len(bare)
