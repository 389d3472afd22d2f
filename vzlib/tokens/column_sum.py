"""Column sums of softmax attention in plain torch: whole rows, a block of them at a time.

A row of logits is as long as there are tokens, so a bounded number of whole rows is O(S) memory and
needs one pass: half the matrix products of two passes by log-sum-exp, which is what a GPU kernel
has to do, since a row does not fit on the chip. On a CPU this is also faster than a second pass
alone with a log-sum-exp that the attention kernel left behind (0.65 against 0.74 of the time of
scaled_dot_product_attention at 4 096 to 16 384 tokens, head dimension 64, one thread).
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from vzlib.tokens.precision import at_least_float32, without_autocast

# Logits in memory at a time: what a core's cache holds, and what keeps a whole GPU busy.
BLOCK = {"cpu": 2**19, "cuda": 2**26}
FEWEST_ROWS = 16  # below, reading the keys again for each block of rows costs more than arithmetic


def column_sum(
    queries: Tensor,
    keys: Tensor,
    scale: float,
    valid: Tensor | None = None,
    votes: Tensor | None = None,
    block: int | None = None,
) -> Tensor:
    """Softmax attention every token receives, summed over heads and queries: [B, S], fp32.

    queries: [B, H, Q, d]. keys: [B, H, S, d]. scale: factor on the logits.
    valid: [B, S] bool, keys that take part. votes: [B, Q] bool, queries that are summed.
    block: logits in memory at a time, rounded up to FEWEST_ROWS rows; by default that of BLOCK.
    float64 queries and keys give float64.
    """
    batch, heads, tokens, _ = keys.shape
    precision = torch.promote_types(keys.dtype, torch.float32)
    sums = keys.new_zeros((batch, heads, tokens), dtype=precision)
    block = block or BLOCK.get(keys.device.type, BLOCK["cuda"])
    images, pairs, rows = _steps(batch, heads, queries.shape[2], tokens, block)
    with without_autocast(keys):
        for b in _pieces(batch, images):
            for h in _pieces(heads, pairs):
                columns = at_least_float32(keys[b, h]).transpose(2, 3)
                for q in _pieces(queries.shape[2], rows):
                    logits = (at_least_float32(queries[b, h, q]) * scale) @ columns
                    if valid is not None:
                        # Not -inf: an image that is all padding would turn into NaN.
                        lowest = torch.finfo(logits.dtype).min
                        logits.masked_fill_(~valid[b, None, None], lowest)
                    attention = logits.softmax(dim=-1)
                    if votes is not None:
                        attention.mul_(votes[b, None, q, None])
                    sums[b, h] += attention.sum(dim=2)
    received = sums.sum(dim=1)
    return received if valid is None else received * valid


def _steps(batch: int, heads: int, queries: int, tokens: int, block: int) -> tuple[int, int, int]:
    """Images, heads and rows at a time, so that about `block` logits are in memory."""
    rows = min(queries, max(FEWEST_ROWS, block // tokens))
    rows = -(-queries // -(-queries // rows))  # equal pieces, no small rest
    pairs = min(heads, max(1, block // (rows * tokens))) if rows == queries else 1
    images = max(1, block // (pairs * rows * tokens)) if pairs == heads else 1
    return min(batch, images), pairs, rows


def _pieces(count: int, step: int) -> Iterator[slice]:
    return (slice(start, start + step) for start in range(0, count, step))
