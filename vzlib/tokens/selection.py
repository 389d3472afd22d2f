"""Dominant selection, and the whole method: dominant tokens as they are, the others merged."""

from typing import NamedTuple

import torch
from torch import Tensor

from vzlib.tokens.budget import Budget, BudgetError
from vzlib.tokens.merging import MergeRule, Similarity, Spacing, merge_contextual, take_tokens


class ZippedTokens(NamedTuple):
    """The tokens that go on to the language model, and where each came from.

    tokens: [B, dominant + contextual, D], dominant ones in spatial order (CLS first), then
        contextual ones.
    kept: [B, dominant], indices into S of the dominant tokens, ascending.
    targets: [B, contextual], indices into S of the tokens that others merged into, ascending.
    assignment: [B, S], the contextual token that each token went into (a target: its own); -1 for
        dominant tokens, and for those dropped by a budget without contextual tokens.
    """

    tokens: Tensor
    kept: Tensor
    targets: Tensor
    assignment: Tensor


def select_and_merge(
    hidden: Tensor,
    scores: Tensor,
    keys: Tensor,
    budget: Budget,
    merge: MergeRule = "code",
    *,
    similarity: Similarity = "cosine",
    spacing: Spacing = "stride",
    validate: bool = False,
) -> ZippedTokens:
    """VisionZip: keep the dominant tokens, merge the rest (Algorithms 1-3, released code).

    hidden: [B, S, D], encoder features. scores: [B, S], received attention.
    keys: [B, S, d], averaged over heads.
    merge: "code" or "paper"; this, `similarity` and `spacing` are those of `merge_contextual`.
    validate: look for NaN and infinity first. Off by default, since it makes the host wait for the
        device; callers check once where data enters.
    Raises BudgetError when the budget exceeds S, ValueError for arguments that do not fit.
    """
    _check(hidden, scores, keys)
    budget.check(hidden.shape[1])
    if validate:
        check_finite(hidden=hidden, scores=scores, keys=keys)
    kept = select_dominant(scores, budget.dominant, cls=budget.cls)
    contextual, targets, assignment = merge_contextual(
        hidden, keys, kept, budget.contextual, merge, similarity=similarity, spacing=spacing
    )
    tokens = torch.cat([take_tokens(hidden, kept), contextual], dim=1)
    return ZippedTokens(tokens, kept, targets, assignment)


def select_dominant(scores: Tensor, dominant: int, cls: bool = True) -> Tensor:
    """Indices of the tokens that receive most attention: [B, dominant], ascending.

    Algorithm 1 with CLS (which counts among the `dominant`, as in the released code), 3 without.

    scores: [B, S]. Among equal scores the lower index wins, on every device.
    cls: token 0 is the CLS token, kept whatever its score.
    Raises BudgetError unless 1 <= dominant <= S.
    """
    if not 1 <= dominant <= scores.shape[1]:
        raise BudgetError(f"dominant={dominant} must be between 1 and {scores.shape[1]}")
    # Not topk, whose choice among equals is undefined.
    ranked = scores[:, int(cls) :].argsort(dim=1, descending=True, stable=True) + int(cls)
    kept = ranked[:, : dominant - cls].sort(dim=1).values
    return torch.cat([kept.new_zeros(kept.shape[0], 1), kept], dim=1) if cls else kept


def check_finite(**tensors: Tensor) -> None:
    """Raise ValueError naming the first of `tensors` that holds NaN or infinity.

    Waits for the device, so it belongs where data enters and not in the hot path. Does nothing
    for tensors without values: on the meta device and while torch.compile traces.
    """
    if torch.compiler.is_compiling():
        return
    for name, tensor in tensors.items():
        if tensor.is_meta:
            continue
        bad = int(tensor.numel() - tensor.isfinite().sum())
        if bad:
            raise ValueError(
                f"{name} must be finite, but {bad} of {tensor.numel()} values are NaN or infinite"
            )


def _check(hidden: Tensor, scores: Tensor, keys: Tensor) -> None:
    for name, tensor, shape in (
        ("hidden", hidden, "[B, S, D]"),
        ("scores", scores, "[B, S]"),
        ("keys", keys, "[B, S, d]"),
    ):
        if tensor.ndim != len(shape.split()) or tensor.shape[:2] != hidden.shape[:2]:
            raise ValueError(
                f"{name} must be {shape}, B and S as in hidden {tuple(hidden.shape)}, "
                f"not {tuple(tensor.shape)}"
            )
        if not tensor.is_floating_point():
            raise ValueError(f"{name} must be floating point, not {tensor.dtype}")
        if tensor.device != hidden.device:
            raise ValueError(f"{name} is on {tensor.device}, but hidden on {hidden.device}")
