# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""Column sums of softmax attention on a GPU, in two passes and without atomics.

The first kernel finds the log-sum-exp of every row (online, over blocks of keys). In the second a
program owns a block of keys and adds up what they receive from block after block of queries, so
that every sum has one order and results are the same every time. Nothing is stored but [B, H, Q]
log-sum-exps and [B, H, S] sums, and the host never waits. Logits are base 2, as exp2 is the
hardware's exponential.

Images of different lengths, packed into one sequence, are told apart by where each token's image
starts and ends; a program reads only the blocks that touch its own images.
"""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
WIDEST_HEAD = 128


def column_sum(
    queries: Tensor,
    keys: Tensor,
    scale: float,
    valid: Tensor | None = None,
    votes: Tensor | None = None,
    bounds: tuple[Tensor, Tensor] | None = None,
    log_sum_exp: Tensor | None = None,
) -> Tensor:
    """Softmax attention every token receives, summed over heads and queries: [B, S], fp32.

    queries: [B, H, Q, d], keys: [B, H, S, d], of a dtype in DTYPES and 1 <= d <= WIDEST_HEAD.
    scale: factor on the logits.
    valid: [B, S] bool, keys that take part. votes: [B, Q] bool, queries that are summed.
    bounds: int32 [S] each: where the image of each token starts and where it ends, for B = 1 and
        Q = S; tokens attend within their image alone.
    log_sum_exp: [B, H, Q] fp32, natural logarithm, of an attention kernel that has found it; saves
        the first pass.
    """
    batch, heads, tokens, width = keys.shape
    rows = queries.shape[2]
    queries, keys = _rows_contiguous(queries), _rows_contiguous(keys)
    valid, votes = (None if mask is None else mask.contiguous() for mask in (valid, votes))
    starts, ends = bounds if bounds is not None else (None, None)
    own, other = (64, 32) if keys.dtype == torch.float32 else (128, 64)
    sizes: dict[str, object] = {
        "H": heads,
        "Q": rows,
        "S": tokens,
        "d": width,
        "D": max(16, triton.next_power_of_2(width)),  # the least that tl.dot takes
        "OWN": own,  # tokens a program keeps
        "OTHER": other,  # tokens it reads at a time
    }
    common = (*queries.stride()[:3], *keys.stride()[:3], scale / math.log(2))
    sums = keys.new_empty((batch, heads, tokens), dtype=torch.float32)
    with torch.cuda.device_of(keys):
        if log_sum_exp is None:
            logs = keys.new_empty((batch, heads, rows), dtype=torch.float32)
            grid = (triton.cdiv(rows, own), batch * heads)
            _log_sum_exp[grid](queries, keys, valid, starts, ends, logs, *common, **sizes)
        else:
            logs = (log_sum_exp / math.log(2)).contiguous()
        grid = (triton.cdiv(tokens, own), batch * heads)
        _sum_columns[grid](queries, keys, valid, votes, starts, ends, logs, sums, *common, **sizes)
    return sums.sum(dim=1)


def _rows_contiguous(tensor: Tensor) -> Tensor:
    return tensor if tensor.stride(3) == 1 else tensor.contiguous()


@triton.jit
def _load_block(base, stride_b, stride_h, stride_s, pair, H, rows, count, d, D: tl.constexpr):
    """[rows, D] of one image and head, zero outside; 64 bits, as a batch can exceed 2^31."""
    image, head = (pair // H).to(tl.int64), (pair % H).to(tl.int64)
    dims = tl.arange(0, D)
    places = rows[:, None].to(tl.int64) * stride_s + dims[None, :]
    inside = (rows[:, None] < count) & (dims[None, :] < d)
    return tl.load(base + image * stride_b + head * stride_h + places, mask=inside, other=0.0)


@triton.jit
def _log_sum_exp(
    queries, keys, valid, starts, ends, logs,
    q_b, q_h, q_s, k_b, k_h, k_s, scale,
    H, Q, S, d,
    D: tl.constexpr, OWN: tl.constexpr, OTHER: tl.constexpr,
):  # fmt: skip
    pair = tl.program_id(1)
    rows = tl.program_id(0) * OWN + tl.arange(0, OWN)
    own = _load_block(queries, q_b, q_h, q_s, pair, H, rows, Q, d, D)
    first, last = 0, S
    if starts is not None:
        start = tl.load(starts + rows, mask=rows < Q, other=S)
        end = tl.load(ends + rows, mask=rows < Q, other=0)
        first, last = tl.min(start, axis=0), tl.max(end, axis=0)
    highest = tl.full([OWN], float("-inf"), tl.float32)
    total = tl.zeros([OWN], tl.float32)
    for at in range(first, last, OTHER):
        columns = at + tl.arange(0, OTHER)
        other = _load_block(keys, k_b, k_h, k_s, pair, H, columns, S, d, D)
        logits = tl.dot(own, tl.trans(other), input_precision="ieee") * scale
        seen = (columns < S)[None, :]
        if starts is not None:
            seen = (columns[None, :] >= start[:, None]) & (columns[None, :] < end[:, None])
        if valid is not None:
            here = tl.load(valid + (pair // H) * S + columns, mask=columns < S, other=0)
            seen = seen & (here != 0)[None, :]
        logits = tl.where(seen, logits, float("-inf"))
        higher = tl.maximum(highest, tl.max(logits, axis=1))
        anchor = tl.where(higher == float("-inf"), 0.0, higher)  # nothing seen yet: no NaN
        total = total * tl.exp2(highest - anchor)
        total += tl.sum(tl.exp2(logits - anchor[:, None]), axis=1)
        highest = higher
    anchor = tl.where(highest == float("-inf"), 0.0, highest)
    tl.store(logs + pair.to(tl.int64) * Q + rows, anchor + tl.log2(total), mask=rows < Q)


@triton.jit
def _sum_columns(
    queries, keys, valid, votes, starts, ends, logs, sums,
    q_b, q_h, q_s, k_b, k_h, k_s, scale,
    H, Q, S, d,
    D: tl.constexpr, OWN: tl.constexpr, OTHER: tl.constexpr,
):  # fmt: skip
    pair = tl.program_id(1)
    columns = tl.program_id(0) * OWN + tl.arange(0, OWN)
    own = _load_block(keys, k_b, k_h, k_s, pair, H, columns, S, d, D)
    first, last = 0, Q
    if starts is not None:
        start = tl.load(starts + columns, mask=columns < S, other=S)
        end = tl.load(ends + columns, mask=columns < S, other=0)
        first, last = tl.min(start, axis=0), tl.max(end, axis=0)
    # Keys are rows here and one sum is made at the end: no reduction inside of the loop.
    received = tl.zeros([OWN, OTHER], tl.float32)
    for at in range(first, last, OTHER):
        rows = at + tl.arange(0, OTHER)
        other = _load_block(queries, q_b, q_h, q_s, pair, H, rows, Q, d, D)
        logits = tl.dot(own, tl.trans(other), input_precision="ieee") * scale
        log = tl.load(logs + pair.to(tl.int64) * Q + rows, mask=rows < Q, other=float("inf"))
        counted = (rows < Q)[None, :]
        if starts is not None:
            counted = (rows[None, :] >= start[:, None]) & (rows[None, :] < end[:, None])
        if votes is not None:
            vote = tl.load(votes + (pair // H) * Q + rows, mask=rows < Q, other=0)
            counted = counted & (vote != 0)[None, :]
        received += tl.where(counted, tl.exp2(logits - log[None, :]), 0.0)
    total = tl.sum(received, axis=1)
    if valid is not None:
        here = tl.load(valid + (pair // H) * S + columns, mask=columns < S, other=0)
        total = tl.where(here != 0, total, 0.0)
    tl.store(sums + pair.to(tl.int64) * S + columns, total, mask=columns < S)
