"""Contextual merging: what selection leaves over, folded into a few tokens by similar keys."""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import normalize

from vzlib.tokens.budget import BudgetError
from vzlib.tokens.precision import at_least_float32, without_autocast

MergeRule = Literal["code", "paper"]


def merge_contextual(
    hidden: Tensor, keys: Tensor, kept: Tensor, contextual: int, merge: MergeRule = "code"
) -> tuple[Tensor, Tensor, Tensor]:
    """Merge all tokens but the kept ones into `contextual` tokens (Algorithm 2, released code).

    Every step-th leftover in spatial order is a target, step = max(1, leftovers // contextual), as
    in the released code. Every other leftover joins the target whose key is most similar by
    cosine; among equals (in fp32) the first target.

    hidden: [B, S, D]. keys: [B, S, d], averaged over heads.
    kept: [B, dominant], distinct indices into S.
    merge: "code" adds the mean of the merged tokens to the target, as the released code does;
        "paper" averages the whole group, target included.
    Returns the tokens [B, contextual, D]; targets [B, contextual], their indices into S, ascending;
    assignment [B, S], the contextual token that each token went into (a target: its own), -1 for
    none. Gradients flow through `hidden` only.
    Raises ValueError for an unknown rule, BudgetError when too few tokens are left over.
    """
    rules = get_args(MergeRule)
    if merge not in rules:
        raise ValueError(f"merge={merge!r} must be one of {', '.join(map(repr, rules))}")
    batch, tokens = hidden.shape[:2]
    leftovers = tokens - kept.shape[1]
    if not 0 <= contextual <= leftovers:
        raise BudgetError(
            f"contextual={contextual} must be between 0 and {leftovers}, the tokens left over"
        )
    if contextual == 0:
        nothing = torch.empty(batch, 0, dtype=torch.long, device=hidden.device)
        return hidden[:, :0], nothing, nothing.new_full((batch, tokens), -1)

    targets = _targets(kept, tokens, contextual)
    numbers = torch.arange(contextual, device=hidden.device)
    assignment = _most_similar(keys, targets)
    assignment = assignment.scatter(1, targets, numbers.expand(batch, -1)).scatter(1, kept, -1)

    member = assignment.unsqueeze(1) == numbers.unsqueeze(-1)  # [B, contextual, S]
    precision = torch.promote_types(hidden.dtype, torch.float32)
    count = member.sum(dim=2, keepdim=True, dtype=precision)
    if merge == "paper":
        weights = member / count
    else:
        weights = (member / (count - 1).clamp(min=1)).scatter(2, targets.unsqueeze(-1), 1.0)
    with without_autocast(hidden):
        return weights.to(hidden.dtype) @ hidden, targets, assignment


def take_tokens(tokens: Tensor, indices: Tensor) -> Tensor:
    """Rows `indices` [B, K] of `tokens` [B, S, D]: [B, K, D]."""
    return tokens.gather(1, indices.unsqueeze(-1).expand(-1, -1, tokens.shape[2]))


def _targets(kept: Tensor, tokens: int, contextual: int) -> Tensor:
    is_kept = kept.new_zeros(kept.shape[0], tokens).scatter(1, kept, 1)
    leftovers = is_kept.argsort(dim=1, stable=True)[:, : tokens - kept.shape[1]]
    step = max(1, leftovers.shape[1] // contextual)
    return leftovers[:, : step * contextual : step]


def _most_similar(keys: Tensor, targets: Tensor) -> Tensor:
    keys = at_least_float32(keys)
    # Only targets are normalised: the length of a token's own key does not change its nearest one.
    # A zero key stays zero (no NaN), with similarity 0 to every token.
    directions = normalize(take_tokens(keys, targets), dim=-1)
    with without_autocast(keys):
        return (keys @ directions.transpose(1, 2)).argmax(dim=2)
