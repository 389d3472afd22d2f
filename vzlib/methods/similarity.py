"""How alike tokens are."""

from torch import Tensor
from torch.nn.functional import normalize

from vzlib.tokens.precision import at_least_float32, without_autocast


def cosine(one: Tensor, other: Tensor) -> Tensor:
    """Cosine of each token of `one` [B, S, D] and each of `other` [B, T, D]: [B, S, T], fp32.

    A zero vector has cosine 0 with everything.
    """
    one, other = (normalize(at_least_float32(tokens), dim=-1) for tokens in (one, other))
    with without_autocast(one):
        return one @ other.transpose(1, 2)
