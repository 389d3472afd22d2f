"""How concentrated attention is on few tokens: Figures 2, 5 and 9-13 show it, these measure it.

Every measure takes weights >= 0 of shape [..., S], which need not sum to 1, and gives [...] in
fp32 (float64 for float64). A row without any weight has no distribution and gives NaN. No tokens
at all (S = 0) raise ValueError.
"""

import math

from torch import Tensor, arange

from vzlib.tokens.precision import at_least_float32


def gini(weights: Tensor) -> Tensor:
    """Gini coefficient: 0 when all tokens weigh the same, (S - 1) / S when one has everything."""
    shares = _shares(weights).sort(dim=-1).values
    tokens = shares.shape[-1]
    ranks = arange(1, tokens + 1, dtype=shares.dtype, device=shares.device)
    return ((2 * ranks - tokens - 1) * shares).sum(dim=-1) / tokens


def normalized_entropy(weights: Tensor) -> Tensor:
    """Shannon entropy divided by its maximum, log S: 1 when all tokens weigh the same, 0 when one
    has everything. A single token counts as evenly spread: 1.
    """
    entropy = _entropy(weights)
    tokens = weights.shape[-1]
    return entropy / math.log(tokens) if tokens > 1 else entropy + 1


def effective_tokens(weights: Tensor) -> Tensor:
    """exp(Shannon entropy), the perplexity (not 1 / sum of squares): S when all tokens weigh the
    same, 1 when one has everything.
    """
    return _entropy(weights).exp()


def top_share(weights: Tensor, fraction: float = 0.1) -> Tensor:
    """Share of all weight that the heaviest tokens have.

    fraction: of the S tokens, rounded to whole tokens, at least one.
    Raises ValueError unless 0 < fraction <= 1.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction={fraction} must be above 0 and at most 1")
    shares = _shares(weights)
    return shares.topk(max(1, round(fraction * shares.shape[-1])), dim=-1).values.sum(dim=-1)


def _shares(weights: Tensor) -> Tensor:
    if weights.ndim == 0 or weights.shape[-1] == 0:
        raise ValueError(f"weights must be [..., S] with S >= 1, not {tuple(weights.shape)}")
    weights = at_least_float32(weights)
    return weights / weights.sum(dim=-1, keepdim=True)


def _entropy(weights: Tensor) -> Tensor:
    shares = _shares(weights)
    return -shares.xlogy(shares).sum(dim=-1)
