"""Received attention of images of different lengths, packed into one sequence without padding."""

import torch
from torch import Tensor

from vzlib.tokens.attention import check_alike, has_kernel
from vzlib.tokens.column_sum import column_sum


def received_attention_packed(
    queries: Tensor, keys: Tensor, scale: float, cumulative_lengths: Tensor
) -> Tensor:
    """Softmax attention each token receives from its own image, mean over heads and queries: [T].

    queries, keys: [H, T, d], all images' tokens one after the other, as attention kernels for
        variable lengths take them; dtypes and result as in `received_attention`.
    scale: factor on the logits.
    cumulative_lengths: [N + 1] int32 or int64, 0, then where each of N images ends, the last at T,
        on the same device.

    With the Triton kernel the host never waits for the device; elsewhere it reads the lengths.
    Raises ValueError for tensors that do not fit, and for an image without tokens; where the
    lengths are on a GPU, or in a graph, looking would make the host wait, and wrong ones give NaN
    everywhere.
    """
    _check(queries, keys, cumulative_lengths)
    queries, keys = queries.detach(), keys.detach()
    add = _sums_op if torch.compiler.is_compiling() else _sums
    received = add(queries, keys, scale, cumulative_lengths)
    starts, ends = _bounds(cumulative_lengths, keys.shape[1])
    received = received / (keys.shape[0] * (ends - starts).clamp(min=1))
    return received.masked_fill(~_well_formed(cumulative_lengths, keys.shape[1]), torch.nan)


def _sums(queries: Tensor, keys: Tensor, scale: float, cumulative_lengths: Tensor) -> Tensor:
    if has_kernel(queries, keys):
        from vzlib.tokens import column_sum_triton as kernel

        bounds = _bounds(cumulative_lengths, keys.shape[1])
        return kernel.column_sum(queries[None], keys[None], scale, bounds=bounds)[0]
    lengths = cumulative_lengths.diff().tolist()
    images = zip(queries.split(lengths, dim=1), keys.split(lengths, dim=1), strict=True)
    return torch.cat([column_sum(q[None], k[None], scale)[0] for q, k in images])


_sums_op = torch.library.custom_op("vzlib::column_sum_packed", _sums, mutates_args=())


@_sums_op.register_fake
def _(queries: Tensor, keys: Tensor, *_: object) -> Tensor:
    return keys.new_empty(keys.shape[1], dtype=torch.promote_types(keys.dtype, torch.float32))


def _bounds(cumulative_lengths: Tensor, tokens: int) -> tuple[Tensor, Tensor]:
    """Where the image of each token starts and ends, [T] int32 each."""
    places = torch.arange(tokens, device=cumulative_lengths.device, dtype=cumulative_lengths.dtype)
    image = torch.searchsorted(cumulative_lengths, places, right=True)
    image = image.clamp(1, cumulative_lengths.shape[0] - 1)
    ends = cumulative_lengths[image].clamp(0, tokens)
    starts = cumulative_lengths[image - 1].clamp(0, tokens)
    return starts.int(), ends.int()


def _well_formed(cumulative_lengths: Tensor, tokens: int) -> Tensor:
    ends_meet = (cumulative_lengths[0] == 0) & (cumulative_lengths[-1] == tokens)
    return ends_meet & (cumulative_lengths.diff() > 0).all()


def _check(queries: Tensor, keys: Tensor, cumulative_lengths: Tensor) -> None:
    if queries.ndim != 3 or queries.shape != keys.shape:
        raise ValueError(
            "queries and keys must be [H, T, d] of one shape, "
            f"not {tuple(queries.shape)} and {tuple(keys.shape)}"
        )
    check_alike(queries, keys)
    if (
        cumulative_lengths.ndim != 1
        or cumulative_lengths.shape[0] < 2
        or cumulative_lengths.dtype not in (torch.int32, torch.int64)
    ):
        raise ValueError(
            "cumulative_lengths must be int32 or int64 of shape [N + 1], N >= 1, not "
            f"{cumulative_lengths.dtype} of shape {tuple(cumulative_lengths.shape)}"
        )
    if cumulative_lengths.device != keys.device:
        raise ValueError(
            f"cumulative_lengths are on {cumulative_lengths.device}, but keys on {keys.device}"
        )
    seen = cumulative_lengths.is_cpu and not torch.compiler.is_compiling()
    if seen and not _well_formed(cumulative_lengths, keys.shape[1]):
        raise ValueError(
            f"cumulative_lengths must rise from 0 to {keys.shape[1]}, at least one token an "
            f"image, not {cumulative_lengths.tolist()}"
        )
