"""What a reduction before the language model starts from."""

from torch import Tensor
from torch.nn.functional import normalize

from vzlib.tokens import BudgetError
from vzlib.tokens.evidence import Encoded
from vzlib.tokens.precision import at_least_float32, without_autocast


def patches_of(encoded: Encoded, retain: int, has_cls: bool) -> Encoded:
    """`encoded` without its CLS token: LLaVA's projector was trained on patches alone.

    Raises BudgetError unless 1 <= `retain` <= number of patches.
    """
    patches = Encoded(*(part[:, int(has_cls) :] for part in encoded))
    count = patches.hidden.shape[1]
    if not 1 <= retain <= count:
        raise BudgetError(f"retain={retain} must be between 1 and {count} patches")
    return patches


def cosine(one: Tensor, other: Tensor) -> Tensor:
    """Cosine of each token of `one` [B, S, D] and each of `other` [B, T, D]: [B, S, T], fp32.

    A zero vector has cosine 0 with everything.
    """
    one, other = (normalize(at_least_float32(tokens), dim=-1) for tokens in (one, other))
    with without_autocast(one):
        return one @ other.transpose(1, 2)
