"""Many questions about one image as one sequence for a stock model's own `forward`.

They share the image as their prefix: each attends to it and to itself alone and counts its
positions from there, as in `vzlib.models.shared_prefix`, so that a loss is that of a pass of each
question's own, for the cost of reading the image once.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vzlib.evaluation.questions import Asked
from vzlib.models.shared_prefix import NO_BLOCK, PREFIX, owner_mask, tokens_of_question

ABSENT = -100  # a label that says nothing


def packed(
    processor: Any, asked: Sequence[Asked], visual: Sequence[int], dtype: torch.dtype
) -> dict[str, Tensor]:
    """What a stock model takes for B images with all their questions, L tokens each.

    visual: placeholders of each image. dtype: of the attention mask.

    Returns input_ids, position_ids and labels `[B, L]` (labels are the answers and their ends) and
    the additive attention_mask `[B, 1, L, L]`.
    """
    image = processor.tokenizer.convert_tokens_to_ids(processor.image_token)
    rows = []
    for one, count in zip(asked, visual, strict=True):
        told = [tokens_of_question(processor, q.text, q.answers[0]) for q in one.questions]
        opening = [*told[0][0], *[image] * count]
        row = [(token, PREFIX, place, ABSENT) for place, token in enumerate(opening)]
        for number, (_, ids, answer) in enumerate(told):
            row += [
                (
                    token,
                    number,
                    len(opening) + place,
                    token if place >= len(ids) - answer else ABSENT,
                )
                for place, token in enumerate(ids)
            ]
        rows.append(row)
    length = max(map(len, rows))
    padding = (processor.tokenizer.pad_token_id or 0, NO_BLOCK, 0, ABSENT)
    full = torch.tensor([row + [padding] * (length - len(row)) for row in rows])
    tokens, owner, positions, labels = full.unbind(-1)
    return {
        "input_ids": tokens,
        "position_ids": positions,
        "labels": labels,
        "attention_mask": owner_mask(owner).to(dtype),
    }
