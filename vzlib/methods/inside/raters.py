"""Attention of a few tokens to all before them, from a layer's keys; no attention map is made."""

from typing import Any

import torch
from torch import Tensor
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb, repeat_kv

from vzlib.tokens.precision import at_least_float32, without_autocast

Rotation = tuple[Tensor, Tensor]  # cosines and sines of positions, each [B, S, d]


def rater_rows(
    layer: Any, hidden: Tensor, rotation: Rotation, keys: Tensor, seen: Tensor
) -> Tensor:
    """Rows `[B, R, S]` of the layer's attention, mean over heads, in at least fp32.

    layer: a Llama decoder layer. hidden: `[B, R, D]`, the raters as they enter the layer.
    rotation: of the raters' positions. keys: `[B, h, S, d]` of the layer, rotated.
    seen: `[B, R]`, how many of the keys each rater may see.
    """
    attention = layer.self_attn
    queries = _heads(attention.q_proj(layer.input_layernorm(hidden)), attention.head_dim)
    queries, _ = apply_rotary_pos_emb(queries, queries, *rotation)
    keys = repeat_kv(keys, attention.num_key_value_groups)
    future = torch.arange(keys.shape[2], device=keys.device) >= seen.unsqueeze(-1)
    with without_autocast(keys):
        logits = at_least_float32(queries) @ at_least_float32(keys).transpose(2, 3)
    logits = (logits * attention.scaling).masked_fill(future.unsqueeze(1), float("-inf"))
    return logits.softmax(dim=-1).mean(dim=1)


def rotated_keys(layer: Any, hidden: Tensor, rotation: Rotation) -> Tensor:
    """Keys `[B, h, S, d]` of a layer that has not run yet. hidden: `[B, S, D]` entering it."""
    attention = layer.self_attn
    keys = _heads(attention.k_proj(layer.input_layernorm(hidden)), attention.head_dim)
    return apply_rotary_pos_emb(keys, keys, *rotation)[1]


def last_token(text: Tensor, asked: Tensor) -> Tensor:
    """The last token of each prompt alone votes: `[B, T]` bool. text: `[B, T, D]`. asked: `[B]`."""
    return torch.arange(text.shape[1], device=text.device) == asked.unsqueeze(1) - 1


def _heads(projected: Tensor, head_dim: int) -> Tensor:
    return projected.unflatten(-1, (-1, head_dim)).transpose(1, 2)
