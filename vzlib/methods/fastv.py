"""FastV (Chen et al., ECCV 2024): after K layers, drop the share R the last token looks at least.

As released: the attention of layer K (the K-th) from the prompt's last token, mean over heads.
(The paper's text averages over all tokens; its code takes the last.)
"""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from vzlib.methods.inside.raters import last_token
from vzlib.methods.inside.schedule import (
    PUBLISHED,
    Counting,
    Fitted,
    Inside,
    Shape,
    Stage,
    fit,
    scaled_layers,
)
from vzlib.methods.method import Count


@dataclass(frozen=True)
class FastV(Inside):
    """FastV with K = `full_layers`, which see every token, and R = `removed`, the share dropped.

    written_for: the model's shape on which K is meant literally; scaled to any other.
    Raises BudgetError for K that leaves no layer to prune.
    """

    full_layers: Count = 2
    removed: Annotated[float, Field(ge=0, lt=1)] = 0.5
    written_for: Shape = PUBLISHED
    fitted: ClassVar[tuple[str, ...]] = ("removed", "written_for")

    def __post_init__(self) -> None:
        super().__post_init__()
        scaled_layers([self.full_layers], self.written_for, self.written_for.layers)

    def stages(self, layers: int, visual: int) -> tuple[Stage, ...]:
        """One stage; at least one token stays."""
        (layer,) = scaled_layers([self.full_layers], self.written_for, layers)
        keep = max(1, round((1 - self.removed) * visual))
        return (Stage(layer, votes_of=layer - 1, keep=keep),)

    def raters(self, visual: Tensor, text: Tensor, words: Tensor) -> Tensor:
        """The prompt's last token alone: `[B, T]`."""
        return last_token(words)

    def for_average(
        self, tokens: float, layers: int, visual: int, *, counting: Counting = "inputs"
    ) -> Fitted["FastV"]:
        """The same with R for a wanted layer average on a model of this shape, K scaled to it.

        Raises OutOfReach: the K full layers alone cost K / layers of all tokens.
        """
        shape = Shape(layers, visual)
        (full,) = scaled_layers([self.full_layers], self.written_for, layers)
        own = replace(self, full_layers=full, written_for=shape)
        candidates = (replace(own, removed=1 - keep / visual) for keep in range(1, visual + 1))
        return fit(candidates, tokens, shape, counting)

    def __str__(self) -> str:
        return f"FastV (K = {self.full_layers}, R = {100 * self.removed:.3g} %)"
