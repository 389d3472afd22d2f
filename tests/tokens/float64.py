"""Received attention in float64, and how far fp32 may be from it."""

import math
from itertools import pairwise

import torch


def received(queries, keys, scale, valid=None):
    """[B, S] in float64, from the whole map; queries of the tokens themselves vote if valid."""
    logits = queries.double() @ keys.double().transpose(2, 3) * scale
    votes = torch.ones(queries.shape[0], queries.shape[2], dtype=torch.double)
    if valid is not None:
        logits = logits.masked_fill(~valid[:, None, None], -torch.inf)
        votes = valid.double() if valid.shape == votes.shape else votes
    attention = logits.softmax(dim=-1).nan_to_num()  # an image that is all padding
    total = torch.einsum("bhqs,bq->bs", attention, votes)
    mean = total / (queries.shape[1] * votes.sum(dim=1, keepdim=True).clamp(min=1))
    return mean if valid is None else mean * valid


def packed(queries, keys, scale, cumulative_lengths):
    """[T] in float64, image by image."""
    ends = cumulative_lengths.tolist()
    images = [
        received(queries[None, :, start:end], keys[None, :, start:end], scale)[0]
        for start, end in pairwise(ends)
    ]
    return torch.cat(images)


def tolerance(queries, keys, scale):
    """Relative error that rounding of fp32 logits allows.

    A dot product of d terms, rounded d + 1 times, is off by (d + 2) u times the product of the
    lengths; that is an error in the exponent, of the weight and of the sum it is divided by. Sums
    and exponentials add little.
    """
    unit = 2.0**-24
    lengths = queries.double().norm(dim=-1).max() * keys.double().norm(dim=-1).max()
    off = 2 * (queries.shape[-1] + 2) * unit * float(lengths) * abs(scale)
    return math.expm1(off) + 1e-5


def error(found, expected, relative):
    """Worst error in units of what is allowed: at most 1 is right."""
    if not found.isfinite().all():
        return math.inf
    # Weights under the least fp32 number vanish.
    allowed = relative * expected + 1e-30
    return float(((found.double() - expected).abs() / allowed).max())
