"""Attention of many questions behind one long prefix, for training: half the work of a mask.

The prefix is causal among itself, which a kernel knows how to skip; only the questions need a mask.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AttentionInterface, LlavaForConditionalGeneration

NAME = "questions_behind_prefix"
LONGEST = 16  # tokens of a question and its answer, at most
TOGETHER = 128  # tokens of questions that are looked at together


def question_mask(block: Tensor, seen: Tensor, prefix: int) -> Tensor:
    """Which keys each token of a question may see, `bool [B, 1, L, prefix + L]`.

    block: `[B, L]` number of the question that a token belongs to. seen: `[B, L]` tokens of the
    prefix that it sees, from the first on.
    """
    length = block.shape[1]
    before = torch.arange(prefix) < seen[..., None]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    own = (block[:, :, None] == block[:, None]) & causal
    return torch.cat([before, own], dim=2).unsqueeze(1)


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """As `sdpa` with the mask of the whole. query, key, value: `[B, heads, prefix + L, D]`.

    attention_mask: of `question_mask`.
    """
    prefix = query.shape[2] - attention_mask.shape[2]
    query, key = query.to(value.dtype), key.to(value.dtype)
    front, keys, values = (part[:, :, :prefix] for part in (query, key, value))
    told = [F.scaled_dot_product_attention(front, keys, values, is_causal=True, scale=scaling)]
    for start in range(prefix, query.shape[2], TOGETHER):
        rows = slice(start, start + TOGETHER)
        columns = slice(max(prefix, start - LONGEST), start + TOGETHER)
        own = attention_mask[:, :, start - prefix : start - prefix + TOGETHER]
        told.append(
            F.scaled_dot_product_attention(
                query[:, :, rows],
                torch.cat([keys, key[:, :, columns]], dim=2),
                torch.cat([values, value[:, :, columns]], dim=2),
                attn_mask=torch.cat([own[..., :prefix], own[..., columns]], dim=3),
                scale=scaling,
            )
        )
    return torch.cat(told, dim=2).transpose(1, 2), None


def use(model: LlavaForConditionalGeneration) -> None:
    """Lets the language model of `model` attend so."""
    AttentionInterface.register(NAME, attend)
    model.model.language_model.set_attn_implementation(NAME)
