"""Attention that every token receives in one layer, without storing the attention map."""

import torch
from torch import Tensor

from vzlib.tokens.precision import at_least_float32, without_autocast


def received_attention(
    queries: Tensor, keys: Tensor, scale: float, valid: Tensor | None = None, chunk: int = 512
) -> Tensor:
    """Softmax attention that each token receives, mean over heads and queries: [B, S], fp32.

    With the queries of all tokens this is Algorithm 3 of the paper (encoders without CLS), with
    the CLS query alone Algorithm 1, where the paper sums over heads: the same ranking.

    queries: [B, H, Q, d], unscaled. keys: [B, H, S, d].
    scale: factor on the logits, d ** -0.5 in most encoders.
    valid: [B, S] bool, False for padding, which receives 0. When Q == S the queries are the
        tokens themselves and those of padding do not vote; otherwise all queries vote.
    chunk: queries taken at a time; at most two [B, H, chunk, S] tensors live at once.
    No gradient flows: choosing tokens has none, and autograd would keep the whole map.
    float64 queries and keys give float64. Raises ValueError for shapes that do not fit.
    """
    _check(queries, keys, valid, chunk)
    queries, keys = at_least_float32(queries.detach()), at_least_float32(keys.detach())
    votes = queries.new_ones(queries.shape[0], queries.shape[2])
    if valid is not None and votes.shape == valid.shape:
        votes = valid.to(votes.dtype)
    received = keys.new_zeros(keys.shape[0], keys.shape[2])
    with without_autocast(keys):
        for rows, vote in zip(queries.split(chunk, dim=2), votes.split(chunk, dim=1), strict=True):
            logits = (rows * scale) @ keys.transpose(2, 3)
            if valid is not None:
                # Not -inf: an image that is all padding would turn into NaN.
                lowest = torch.finfo(logits.dtype).min
                logits.masked_fill_(~valid[:, None, None, :], lowest)
            over_heads = logits.softmax(dim=-1).sum(dim=1)
            received = received + (over_heads * vote.unsqueeze(-1)).sum(dim=1)
    received = received / (queries.shape[1] * votes.sum(dim=1, keepdim=True).clamp(min=1))
    return received if valid is None else received * valid


def cls_attention(
    queries: Tensor, keys: Tensor, scale: float, valid: Tensor | None = None
) -> Tensor:
    """Attention of the CLS token (index 0) to all tokens and itself, mean over heads: [B, S], fp32.

    queries: [B, H, Q >= 1, d], of which only the first is read.
    Everything else as in `received_attention`.
    """
    return received_attention(queries[:, :, :1], keys, scale, valid)


def _check(queries: Tensor, keys: Tensor, valid: Tensor | None, chunk: int) -> None:
    if queries.ndim != 4 or keys.ndim != 4:
        raise ValueError(
            "queries must be [B, H, Q, d] and keys [B, H, S, d], "
            f"not {tuple(queries.shape)} and {tuple(keys.shape)}"
        )
    if queries.shape[:2] != keys.shape[:2] or queries.shape[3] != keys.shape[3]:
        raise ValueError(
            "queries [B, H, Q, d] and keys [B, H, S, d] must agree in B, H and d, "
            f"not {tuple(queries.shape)} and {tuple(keys.shape)}"
        )
    if valid is not None and (
        valid.dtype != torch.bool or valid.shape != (keys.shape[0], keys.shape[2])
    ):
        raise ValueError(
            f"valid must be bool of shape {(keys.shape[0], keys.shape[2])}, "
            f"not {valid.dtype} of shape {tuple(valid.shape)}"
        )
    if chunk < 1:
        raise ValueError(f"chunk={chunk} must be at least 1")
