"""No reduction."""

from torch import Tensor

from vzlib.methods.patches import patches_of
from vzlib.tokens import BudgetError
from vzlib.tokens.evidence import Encoded


def vanilla(encoded: Encoded, retain: int, *, has_cls: bool, seed: int = 0) -> Tensor:
    """Every patch, as stock LLaVA; `retain` must be their number. Raises BudgetError."""
    patches = patches_of(encoded, retain, has_cls).hidden
    if retain != patches.shape[1]:
        raise BudgetError(f"vanilla keeps all {patches.shape[1]} patches, not {retain}")
    return patches
