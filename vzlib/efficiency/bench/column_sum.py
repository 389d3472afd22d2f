"""Received attention of a long sequence without CLS: its memory and its time."""

from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from vzlib.efficiency import memory
from vzlib.efficiency.bench.row import Bar, Row, counted, not_measured, ratio
from vzlib.efficiency.bench.scale import Scale
from vzlib.efficiency.timing import single
from vzlib.tokens import received_attention

GROUP = "column_sum"
BARS = {"cpu": Bar(at_most=2), "cuda": Bar(at_most=1.3)}
GROWTH = Bar(at_most=2.2)  # of the memory, when the sequence doubles: O(S) doubles, O(S^2) is 4


@torch.no_grad()
def rows(scale: Scale, device: torch.device, dtype: torch.dtype) -> list[Row]:
    """Time over that of the layer's attention, and how the extra memory grows with the sequence."""
    shape = (1, scale.heads, scale.sequence, scale.head_dim)
    queries, keys, values = (torch.randn(shape, device=device, dtype=dtype) for _ in range(3))
    factor, half = scale.head_dim**-0.5, scale.sequence // 2

    def summed(length: int) -> Tensor:
        return received_attention(queries[:, :, :length], keys[:, :, :length], factor)

    peaks = {
        length: memory.peak(partial(summed, length), device) for length in (half, scale.sequence)
    }
    size = f"S = {scale.sequence}, {scale.heads} heads"
    whole = scale.heads * scale.sequence**2 * queries.element_size()
    details = (
        f"{peaks[scale.sequence] / 1e6:.4g} MB, at half the length {peaks[half] / 1e6:.4g} MB; "
        f"one map would be {whole / 1e6:.4g} MB"
    )
    growth = peaks[scale.sequence] / max(peaks[half], 1)
    variants = {
        "column sum": single(partial(summed, scale.sequence)),
        "attention": single(partial(scaled_dot_product_attention, queries, keys, values)),
    }
    what = f"column sum ÷ that layer's SDPA, {size}, {str(dtype).removeprefix('torch.')}"
    times = scale.measure(variants, device, what)
    found = [
        counted(GROUP, f"growth of the extra memory with twice the length, {size}", growth,
                details, GROWTH),
        ratio(GROUP, what, times, "column sum", "attention", BARS[device.type]),
    ]  # fmt: skip
    if device.type != "cuda":
        what = "column sum ÷ that layer's SDPA on a GPU"
        found.append(not_measured(GROUP, what, BARS["cuda"]))
    return found
