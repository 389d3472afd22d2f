"""Contextual merging: what selection leaves over, folded into a few tokens by similar keys."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from vzlib.tokens.budget import BudgetError
from vzlib.tokens.precision import at_least_float32, without_autocast

MergeRule = Literal["code", "paper"]
Similarity = Literal["cosine", "dot"]
Spacing = Literal["stride", "even"]


def merge_contextual(
    hidden: Tensor,
    keys: Tensor,
    kept: Tensor,
    contextual: int,
    merge: MergeRule = "code",
    *,
    similarity: Similarity = "cosine",
    spacing: Spacing = "stride",
) -> tuple[Tensor, Tensor, Tensor]:
    """Merge all tokens but the kept ones into `contextual` tokens (Algorithm 2, released code).

    Some leftovers, in spatial order, are targets. Every other leftover joins the target whose key
    is most similar; among equals (in fp32) the first target.

    hidden: [B, S, D]. keys: [B, S, d], averaged over heads.
    kept: [B, dominant], distinct indices into S.
    merge: "code" adds the mean of the merged tokens to the target, as the released code does;
        "paper" averages the whole group, target included.
    similarity: of keys, "cosine" as in the released code, or "dot", their dot product.
    spacing: "stride" takes every step-th leftover, step = max(1, leftovers // contextual), as the
        released code does, which leaves up to step + contextual - 2 leftovers at the end without
        targets; "even" takes the middles of `contextual` equal parts of the leftovers.
    Returns the tokens [B, contextual, D]; targets [B, contextual], their indices into S, ascending;
    assignment [B, S], the contextual token that each token went into (a target: its own), -1 for
    none. Gradients flow through `hidden` only.
    Raises ValueError for an unknown rule, similarity or spacing, BudgetError when too few tokens
    are left over.
    """
    _check_choice("merge", merge, MergeRule)
    _check_choice("similarity", similarity, Similarity)
    _check_choice("spacing", spacing, Spacing)
    batch, tokens = hidden.shape[:2]
    leftovers = tokens - kept.shape[1]
    if not 0 <= contextual <= leftovers:
        raise BudgetError(
            f"contextual={contextual} must be between 0 and {leftovers}, the tokens left over"
        )
    if contextual == 0:
        nothing = torch.empty(batch, 0, dtype=torch.long, device=hidden.device)
        return hidden[:, :0], nothing, nothing.new_full((batch, tokens), -1)

    targets = _targets(kept, tokens, contextual, spacing)
    numbers = torch.arange(contextual, device=hidden.device)
    assignment = _most_similar(keys, targets, similarity)
    assignment = assignment.scatter(1, targets, numbers.expand(batch, -1)).scatter(1, kept, -1)

    return _merged(hidden, assignment, targets, leftovers, merge), targets, assignment


def _merged(
    hidden: Tensor, assignment: Tensor, targets: Tensor, leftovers: int, merge: MergeRule
) -> Tensor:
    """[B, contextual, D]: weighted sums of the tokens that each contextual token is made of.

    Sums of rows that are neither copied nor multiplied by the zeros of a one-hot matrix: 4 to 5
    times the speed of the matrix product on a CPU, and equally deterministic on a GPU.
    """
    (batch, tokens, width), contextual = hidden.shape, targets.shape[1]
    device, precision = hidden.device, torch.promote_types(hidden.dtype, torch.float32)
    # Kept tokens are assigned -1 and come first; then group after group, each in spatial order.
    group, order = (part[:, -leftovers:].contiguous() for part in assignment.sort(stable=True))
    numbers = torch.arange(contextual, device=device).expand(batch, -1).contiguous()
    starts = torch.searchsorted(group, numbers)
    sizes = torch.searchsorted(group, numbers, right=True) - starts
    if merge == "paper":
        weights = sizes.to(precision).reciprocal().gather(1, group)
    else:
        weights = (sizes - 1).clamp(min=1).to(precision).reciprocal().gather(1, group)
        weights = weights.masked_fill(order == targets.gather(1, group), 1.0)
    images = torch.arange(batch, device=device).unsqueeze(1)
    return embedding_bag(
        (order + images * tokens).flatten(),
        hidden.reshape(-1, width),
        (starts + images * leftovers).flatten(),
        mode="sum",
        per_sample_weights=weights.to(hidden.dtype).flatten(),
    ).view(batch, contextual, width)


def take_tokens(tokens: Tensor, indices: Tensor) -> Tensor:
    """Rows `indices` [B, K] of `tokens` [B, S, D]: [B, K, D]."""
    batch, length, width = tokens.shape
    images = torch.arange(batch, device=tokens.device).unsqueeze(1)
    if not tokens.is_contiguous():
        return tokens[images, indices]
    # Whole rows, where gather would fetch number by number: 10 to 20 times its speed on a CPU.
    rows = (indices + images * length).flatten()
    return tokens.view(-1, width).index_select(0, rows).view(batch, -1, width)


def _check_choice(name: str, value: str, choices: Any) -> None:
    allowed = get_args(choices)
    if value not in allowed:
        raise ValueError(f"{name}={value!r} must be one of {', '.join(map(repr, allowed))}")


def _targets(kept: Tensor, tokens: int, contextual: int, spacing: Spacing) -> Tensor:
    count = tokens - kept.shape[1]
    numbers = torch.arange(contextual, device=kept.device)
    if spacing == "even":
        ranks = (2 * numbers + 1) * count // (2 * contextual)
    else:
        ranks = numbers * max(1, count // contextual)
    # A leftover's index is its rank among leftovers and the number of kept tokens before it. The
    # i-th kept token has kept[i] - i leftovers before it.
    before = kept.sort(dim=1).values - torch.arange(kept.shape[1], device=kept.device)
    ranks = ranks.expand(kept.shape[0], -1).contiguous()
    return ranks + torch.searchsorted(before, ranks, right=True)


def _most_similar(keys: Tensor, targets: Tensor, similarity: Similarity) -> Tensor:
    keys = at_least_float32(keys)
    candidates = take_tokens(keys, targets)
    if similarity == "cosine":
        # Only targets are normalised: the length of a token's own key does not change its nearest
        # one. A zero key stays zero (no NaN), with similarity 0 to every token.
        candidates = candidates / candidates.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    with without_autocast(keys):
        return (keys @ candidates.transpose(1, 2)).argmax(dim=2)
