"""What a tower tells of its tokens: all that a reduction before the language model needs."""

from typing import NamedTuple

from torch import Tensor


class Encoded(NamedTuple):
    """Tokens of one layer and the evidence by which they are selected and merged.

    hidden: [B, S, D] hidden states, in the tower's dtype.
    scores: [B, S] attention received, fp32, mean over heads (and over queries without CLS).
    keys: [B, S, d] keys, mean over heads, in the tower's dtype.
    """

    hidden: Tensor
    scores: Tensor
    keys: Tensor
