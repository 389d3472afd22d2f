"""One stage of pruning: which visual tokens stay, and what comes back of the others."""

from typing import NamedTuple

import torch
from torch import Tensor

from vzlib.methods.inside.schedule import Stage, clusters, recycled_candidates
from vzlib.tokens import select_dominant
from vzlib.tokens.merging import take_tokens
from vzlib.tokens.precision import at_least_float32, without_autocast

NOISE = 1e-6  # on the density, so that no two tokens are equally dense


class Reduction(NamedTuple):
    """Visual tokens after a stage, in their old order.

    hidden: `[B, m, D]`. order: `[B, m]`, where each stood among the n before; a recycled token
    stands where the centre of its cluster stood.
    assignment: `[B, n]`, the token of the m that each of the n went into, -1 for none.
    """

    hidden: Tensor
    order: Tensor
    assignment: Tensor


def reduce_visual(
    rows: Tensor, votes: Tensor, hidden: Tensor, stage: Stage, seed: int = 0
) -> Reduction | None:
    """Prune the visual tokens `hidden` `[B, n, D]` by the attention they receive.

    rows: `[B, R, n]` attention of the raters to them. votes: `[B, R]` bool, which rows count.
    Returns None if all stay. Raises ValueError when a rank-adaptive stage meets several prompts.
    """
    batch, tokens = hidden.shape[:2]
    if isinstance(stage.keep, int):
        keep = stage.keep
    elif batch == 1:
        keep = stage.keep(rows[0, votes[0]])
    else:
        raise ValueError(f"what is chosen by rank is chosen for one prompt at a time, not {batch}")
    if keep >= tokens:
        return None
    weights = votes.unsqueeze(-1).to(rows.dtype)
    scores = (rows * weights).sum(dim=1) / weights.sum(dim=1)
    kept = select_dominant(scores, keep, cls=False)
    goes_to = torch.full_like(scores, -1, dtype=torch.long).scatter(1, kept, kept)
    order = kept
    if stage.recycles:
        dropped = tokens - keep
        rated = scores.scatter(1, kept, float("-inf"))
        recycled = select_dominant(rated, recycled_candidates(dropped), cls=False)
        members = take_tokens(hidden, recycled)
        centres, nearest = cluster(members, clusters(dropped), seed)
        places = recycled.gather(1, centres)
        goes_to = goes_to.scatter(1, recycled, places.gather(1, nearest))
        averages = average_of_clusters(members, nearest, centres.shape[1])
        hidden = hidden.scatter(1, places.unsqueeze(-1).expand_as(averages), averages)
        order = torch.cat([kept, places], dim=1).sort(dim=1).values
    number = torch.arange(order.shape[1], device=order.device).expand_as(order)
    place = torch.zeros_like(goes_to).scatter(1, order, number)
    assignment = place.gather(1, goes_to.clamp(min=0)).masked_fill(goes_to < 0, -1)
    return Reduction(take_tokens(hidden, order), order, assignment)


def cluster(tokens: Tensor, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Density peaks among `tokens` `[B, m, D]`: centres `[B, count]`, nearest centre `[B, m]`.

    DPC-KNN as SparseVLM has it: a token is dense whose `count` nearest tokens (itself included)
    are near, and a centre if dense and far from all denser ones. SparseVLM draws its noise without
    a seed; here the same draw serves every row, so that a prompt's tokens do not depend on its
    batch.
    """
    tokens = at_least_float32(tokens)
    batch, size = tokens.shape[:2]
    with without_autocast(tokens):  # not by a matrix product, which loses small distances
        distance = torch.cdist(tokens, tokens, compute_mode="donot_use_mm_for_euclid_dist")
    distance = distance / tokens.shape[2] ** 0.5
    nearby = distance.topk(count, dim=2, largest=False).values
    noise = torch.rand(size, generator=torch.Generator().manual_seed(seed))
    density = (-nearby.square().mean(dim=2)).exp() + NOISE * noise.to(tokens)
    denser = density.unsqueeze(1) > density.unsqueeze(2)  # [b, i, j]: j is denser than i
    farthest = distance.flatten(1).max(dim=1).values[:, None, None]
    parent = torch.where(denser, distance, farthest).min(dim=2).values
    centres = (density * parent).argsort(dim=1, descending=True, stable=True)[:, :count]
    to_centres = distance.gather(2, centres.unsqueeze(1).expand(-1, size, -1))
    number = torch.arange(count, device=tokens.device).expand(batch, -1)
    return centres, to_centres.argmin(dim=2).scatter(1, centres, number)


def average_of_clusters(tokens: Tensor, nearest: Tensor, count: int) -> Tensor:
    """Mean `[B, count, D]` of the tokens `[B, m, D]` of each cluster; nearest: `[B, m]`."""
    numbers = torch.arange(count, device=tokens.device).unsqueeze(-1)
    member = at_least_float32((nearest.unsqueeze(1) == numbers).to(tokens.dtype))
    with without_autocast(tokens):
        total = member @ at_least_float32(tokens)
    return (total / member.sum(dim=2, keepdim=True)).to(tokens.dtype)
