"""PyramidDrop (Xing et al., CVPR 2025): drop more of the visual tokens, stage by stage.

As released: the last token of the instruction rates, by the queries and keys of the layer that is
about to run; shares are of the original tokens.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
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
from vzlib.tokens.budget import BudgetError


@dataclass(frozen=True)
class PyramidDrop(Inside):
    """From each of `layers` on, the share of `keep` of all visual tokens stays.

    written_for: the model's shape on which `layers` are meant literally; scaled to any other.
    Raises BudgetError for shares that rise or are not one for each layer.
    """

    layers: tuple[int, ...] = (8, 16, 24)
    keep: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.5, 0.25, 0.125)
    written_for: Shape = PUBLISHED
    fitted: ClassVar[tuple[str, ...]] = ("keep", "written_for")

    def __post_init__(self) -> None:
        super().__post_init__()
        rising = any(one < other for one, other in pairwise(self.keep))
        if rising or len(self.keep) != len(self.layers):
            raise BudgetError(
                f"keep={self.keep} must be a share for each of the layers {self.layers}, none "
                "above the one before"
            )
        scaled_layers(self.layers, self.written_for, self.written_for.layers)

    def stages(self, layers: int, visual: int) -> tuple[Stage, ...]:
        """One stage per layer; at least one token stays."""
        starts = scaled_layers(self.layers, self.written_for, layers)
        return tuple(
            Stage(layer, votes_of=layer, keep=max(1, round(share * visual)))
            for layer, share in zip(starts, self.keep, strict=True)
        )

    def raters(self, visual: Tensor, text: Tensor, words: Tensor) -> Tensor:
        """The instruction's last token alone: `[B, T]`."""
        return last_token(words)

    def for_average(
        self, tokens: float, layers: int, visual: int, *, counting: Counting = "inputs"
    ) -> Fitted["PyramidDrop"]:
        """The same with shares r, r^2, ... for a wanted layer average on a model of this shape.

        The released shares are those of r = 1/2; none is less than one token. Raises OutOfReach:
        before the first stage, for a quarter of the layers, there is every token.
        """
        shape = Shape(layers, visual)
        starts = scaled_layers(self.layers, self.written_for, layers)
        own = replace(self, layers=starts, written_for=shape)
        ratios = (step / (4 * visual) for step in range(4, 4 * visual + 1))
        powers = range(1, len(starts) + 1)
        shares = (tuple(max(r**power, 1 / visual) for power in powers) for r in ratios)
        return fit((replace(own, keep=keep) for keep in shares), tokens, shape, counting)

    def __str__(self) -> str:
        shares = " / ".join(f"{100 * share:.3g}" for share in self.keep)
        return f"PyramidDrop ({shares} % from layers {' / '.join(map(str, self.layers))})"
