"""What a tower tells of its tokens, and what a reduction makes of them."""

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


class Reduced(NamedTuple):
    """The tokens that go on to the language model, and where each came from.

    Indices are those of the tower's tokens: 0 is CLS where there is one.

    tokens: [B, K, D], in the tower's dtype.
    places: [B, K], where each stands: the token that was kept, or into which others merged; -1 for
        a token that stands nowhere, such as the sum of a whole image.
    sources: [B, S], which of the K each of the tower's tokens went into, -1 for those left out. One
        that went into several is told of the one it resembles most. What stands somewhere also
        comes from there: the source of a place is its token.
    """

    tokens: Tensor
    places: Tensor
    sources: Tensor
