"""FastV (Chen et al., ECCV 2024): after K layers, drop the share R the last token looks at least.

As released: the attention of layer K (the K-th) from the prompt's last token, mean over heads.
(The paper's text averages over all tokens; its code takes the last.)
"""

from dataclasses import dataclass

from torch import Tensor

from vzlib.methods.inside.raters import last_token
from vzlib.methods.inside.schedule import (
    PUBLISHED,
    Counting,
    Fitted,
    Shape,
    Stage,
    fit,
    scaled_layers,
)
from vzlib.tokens.budget import BudgetError


@dataclass(frozen=True)
class FastV:
    """FastV with K = `full_layers`, which see every token, and R = `removed`, the share dropped.

    Raises BudgetError for R outside 0 <= R < 1; `stages` does for K that leaves no layer to prune.
    """

    full_layers: int = 2
    removed: float = 0.5
    written_for: Shape = PUBLISHED

    def __post_init__(self) -> None:
        if not 0 <= self.removed < 1:
            raise BudgetError(f"removed={self.removed} (R) must be at least 0 and below 1")
        if not 1 <= self.full_layers < self.written_for.layers:
            raise BudgetError(
                f"full_layers={self.full_layers} (K) must be between 1 and "
                f"{self.written_for.layers - 1}, as the last layers must be left to prune"
            )

    def stages(self, layers: int, visual: int) -> tuple[Stage, ...]:
        """One stage; at least one token stays."""
        (layer,) = scaled_layers([self.full_layers], self.written_for, layers)
        keep = max(1, round((1 - self.removed) * visual))
        return (Stage(layer, votes_of=layer - 1, keep=keep),)

    def raters(self, visual: Tensor, text: Tensor, asked: Tensor) -> Tensor:
        """The prompt's last token alone: `[B, T]`."""
        return last_token(text, asked)

    @classmethod
    def for_average(
        cls,
        tokens: float,
        layers: int,
        visual: int,
        *,
        full_layers: int | None = None,
        counting: Counting = "inputs",
    ) -> Fitted["FastV"]:
        """R for a wanted layer average.

        full_layers: K on this model, default 2 of 32, scaled.
        Raises OutOfReach: the K full layers alone cost K / layers of all tokens.
        """
        shape = Shape(layers, visual)
        if full_layers is None:
            (full_layers,) = scaled_layers([cls().full_layers], PUBLISHED, layers)
        keeps = range(1, visual + 1)
        candidates = (cls(full_layers, 1 - keep / visual, shape) for keep in keeps)
        return fit(candidates, tokens, shape, counting)

    def __str__(self) -> str:
        return f"FastV (K = {self.full_layers}, R = {100 * self.removed:.3g} %)"
