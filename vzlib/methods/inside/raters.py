"""Attention of a few tokens to all before them, from a layer's keys; no attention map is made."""

from typing import Any

import torch
from torch import Tensor

from vzlib.tokens.precision import at_least_float32, without_autocast

Rotation = tuple[Tensor, Tensor]  # cosines and sines of positions, each [B, S, d]


def rater_rows(
    layer: Any,
    hidden: Tensor,
    rotation: Rotation,
    keys: Tensor,
    seen: Tensor,
    valid: Tensor | None = None,
) -> Tensor:
    """Rows `[B, R, S]` of the layer's attention, mean over heads, in at least fp32.

    layer: a Llama decoder layer. hidden: `[B, R, D]`, the raters as they enter the layer.
    rotation: of the raters' positions. keys: `[B, h, S, d]` of the layer, rotated.
    seen: `[B, R]`, how many of the keys each rater may see. valid: `[B, S]` bool, no padding.
    """
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb, repeat_kv

    attention = layer.self_attn
    queries = _heads(attention.q_proj(layer.input_layernorm(hidden)), attention.head_dim)
    queries, _ = apply_rotary_pos_emb(queries, queries, *rotation)
    keys = repeat_kv(keys, attention.num_key_value_groups)
    hidden_from = torch.arange(keys.shape[2], device=keys.device) >= seen.unsqueeze(-1)
    if valid is not None:
        hidden_from = hidden_from | ~valid.unsqueeze(1)
    with without_autocast(keys):
        logits = at_least_float32(queries) @ at_least_float32(keys).transpose(2, 3)
    logits = (logits * attention.scaling).masked_fill(hidden_from.unsqueeze(1), float("-inf"))
    return logits.softmax(dim=-1).mean(dim=1)


def rotated_keys(layer: Any, hidden: Tensor, rotation: Rotation) -> Tensor:
    """Keys `[B, h, S, d]` of a layer that has not run yet. hidden: `[B, S, D]` entering it."""
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    attention = layer.self_attn
    keys = _heads(attention.k_proj(layer.input_layernorm(hidden)), attention.head_dim)
    return apply_rotary_pos_emb(keys, keys, *rotation)[1]


def last_token(words: Tensor) -> Tensor:
    """The last of the `words` `[B, T]` bool of each prompt alone votes: `[B, T]` bool."""
    return words & (words.cumsum(dim=1) == words.sum(dim=1, keepdim=True))


def _heads(projected: Tensor, head_dim: int) -> Tensor:
    return projected.unflatten(-1, (-1, head_dim)).transpose(1, 2)
