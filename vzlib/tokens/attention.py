"""Attention that every token receives in one layer, without storing the attention map.

What a head gives is summed over queries block by block: by a Triton kernel on a GPU
(`column_sum_triton`), in plain torch elsewhere (`column_sum`). Both need O(S) memory.
"""

from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from vzlib.tokens.column_sum import column_sum

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
FEWEST_QUERIES = 16  # for the kernel, which works on blocks of queries; the CLS row is one


def received_attention(
    queries: Tensor,
    keys: Tensor,
    scale: float,
    valid: Tensor | None = None,
    *,
    block: int | None = None,
    log_sum_exp: Tensor | None = None,
) -> Tensor:
    """Softmax attention that each token receives, mean over heads and queries: [B, S], fp32.

    With the queries of all tokens this is Algorithm 3 of the paper (encoders without CLS), with
    the CLS query alone Algorithm 1, where the paper sums over heads: the same ranking.

    queries: [B, H, Q, d], unscaled. keys: [B, H, S, d], of the same dtype, fp16, bf16, fp32 or
        float64, which gives float64.
    scale: factor on the logits, d ** -0.5 in most encoders.
    valid: [B, S] bool, False for padding, which receives 0. When Q == S the queries are the
        tokens themselves and those of padding do not vote; otherwise all queries vote.
    block: logits in memory at a time where there is no kernel, rounded up to a few rows; by
        default as many as suit the device.
    log_sum_exp: [B, H, Q] fp32, of the scaled logits (those of `valid` keys), natural logarithm,
        from an attention kernel that gives it; the GPU kernel then saves the first of its passes.
    No gradient flows: choosing tokens has none, and autograd would keep the whole map.
    The host never waits for the device. Raises ValueError for tensors that do not fit.
    """
    _check(queries, keys, valid, block, log_sum_exp)
    queries, keys = queries.detach(), keys.detach()
    rows = queries.shape[2]
    votes = valid if valid is not None and valid.shape[1] == rows else None
    # A graph gets one node at any length, instead of thousands of blocks.
    add = _column_sum_op if torch.compiler.is_compiling() else _column_sum
    received = add(queries, keys, scale, valid, votes, block, log_sum_exp)
    if votes is None:
        return received / (queries.shape[1] * rows)
    return received / (queries.shape[1] * votes.sum(dim=1, keepdim=True).clamp(min=1))


def cls_attention(
    queries: Tensor, keys: Tensor, scale: float, valid: Tensor | None = None
) -> Tensor:
    """Attention of the CLS token (index 0) to all tokens and itself, mean over heads: [B, S], fp32.

    queries: [B, H, Q >= 1, d], of which only the first is read.
    Everything else as in `received_attention`.
    """
    return received_attention(queries[:, :, :1], keys, scale, valid)


def has_kernel(queries: Tensor, keys: Tensor) -> bool:
    """Whether the Triton kernel takes these queries [..., Q, d] and keys [..., S, d].

    It needs CUDA (Ampere or newer), fp16, bf16 or fp32, d <= 128 and more queries than the one of a
    CLS token.
    """
    if keys.device.type != "cuda" or queries.shape[-2] < FEWEST_QUERIES or not _triton_is_there():
        return False
    if torch.cuda.get_device_capability(keys.device)[0] < 8:
        return False
    from vzlib.tokens.column_sum_triton import DTYPES, WIDEST_HEAD

    return keys.dtype in DTYPES and keys.shape[-1] <= WIDEST_HEAD


@cache
def _triton_is_there() -> bool:
    return find_spec("triton") is not None


def _column_sum(
    queries: Tensor,
    keys: Tensor,
    scale: float,
    valid: Tensor | None,
    votes: Tensor | None,
    block: int | None,
    log_sum_exp: Tensor | None,
) -> Tensor:
    if has_kernel(queries, keys):
        from vzlib.tokens import column_sum_triton as kernel

        return kernel.column_sum(queries, keys, scale, valid, votes, log_sum_exp=log_sum_exp)
    return column_sum(queries, keys, scale, valid, votes, block)


_column_sum_op = torch.library.custom_op("vzlib::column_sum", _column_sum, mutates_args=())


@_column_sum_op.register_fake
def _(queries: Tensor, keys: Tensor, *_: object) -> Tensor:
    shape = (keys.shape[0], keys.shape[2])
    return keys.new_empty(shape, dtype=torch.promote_types(keys.dtype, torch.float32))


def _check(
    queries: Tensor,
    keys: Tensor,
    valid: Tensor | None,
    block: int | None,
    log_sum_exp: Tensor | None,
) -> None:
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
    check_alike(queries, keys)
    if valid is not None and (
        valid.dtype != torch.bool or valid.shape != (keys.shape[0], keys.shape[2])
    ):
        raise ValueError(
            f"valid must be bool of shape {(keys.shape[0], keys.shape[2])}, "
            f"not {valid.dtype} of shape {tuple(valid.shape)}"
        )
    if log_sum_exp is not None and log_sum_exp.shape != queries.shape[:3]:
        raise ValueError(
            f"log_sum_exp must be [B, H, Q] = {tuple(queries.shape[:3])}, "
            f"not {tuple(log_sum_exp.shape)}"
        )
    if block is not None and block < 1:
        raise ValueError(f"block={block} must be at least 1")


def check_alike(queries: Tensor, keys: Tensor) -> None:
    """Raise ValueError unless both are floats of one dtype on one device, none of them empty."""
    if queries.dtype != keys.dtype or keys.dtype not in FLOATS:
        allowed = ", ".join(str(dtype).removeprefix("torch.") for dtype in FLOATS)
        raise ValueError(
            f"queries and keys must have one dtype of {allowed}, not {queries.dtype} and "
            f"{keys.dtype}"
        )
    if queries.device != keys.device:
        raise ValueError(f"queries are on {queries.device}, but keys on {keys.device}")
    if queries.numel() == 0 or keys.numel() == 0:
        raise ValueError(
            "there must be at least one image, head, query, token and dimension, not queries "
            f"{tuple(queries.shape)} and keys {tuple(keys.shape)}"
        )
