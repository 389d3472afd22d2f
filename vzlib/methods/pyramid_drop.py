"""PyramidDrop (Xing et al., CVPR 2025): drop more of the visual tokens, stage by stage.

As released: the last token of the instruction rates, by the queries and keys of the layer that is
about to run; shares are of the original tokens.
"""

from dataclasses import dataclass
from itertools import pairwise

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
class PyramidDrop:
    """From each of `layers` on, the share of `keep` of all visual tokens stays.

    Raises BudgetError for shares that rise or leave 0 < share <= 1, or are not one for each layer.
    """

    layers: tuple[int, ...] = (8, 16, 24)
    keep: tuple[float, ...] = (0.5, 0.25, 0.125)
    written_for: Shape = PUBLISHED

    def __post_init__(self) -> None:
        falling = all(one >= other for one, other in pairwise((1.0, *self.keep, 0.0)))
        if not falling or 0 in self.keep or len(self.keep) != len(self.layers):
            raise BudgetError(
                f"keep={self.keep} must be a share above 0 and at most 1 for each of the layers "
                f"{self.layers}, none above the one before"
            )
        scaled_layers(self.layers, self.written_for, self.written_for.layers)

    def stages(self, layers: int, visual: int) -> tuple[Stage, ...]:
        """One stage per layer; at least one token stays."""
        starts = scaled_layers(self.layers, self.written_for, layers)
        return tuple(
            Stage(layer, votes_of=layer, keep=max(1, round(share * visual)))
            for layer, share in zip(starts, self.keep, strict=True)
        )

    def raters(self, visual: Tensor, text: Tensor, asked: Tensor) -> Tensor:
        """The instruction's last token alone: `[B, T]`."""
        return last_token(text, asked)

    @classmethod
    def for_average(
        cls, tokens: float, layers: int, visual: int, *, counting: Counting = "inputs"
    ) -> Fitted["PyramidDrop"]:
        """Shares r, r^2, r^3 for a wanted layer average; the released ones are those of r = 1/2.

        None is less than one token. Raises OutOfReach: the first stage, a quarter of the layers,
        sees every token.
        """
        shape = Shape(layers, visual)
        starts = scaled_layers(cls().layers, PUBLISHED, layers)
        ratios = (step / (4 * visual) for step in range(4, 4 * visual + 1))
        shares = (tuple(max(r**power, 1 / visual) for power in (1, 2, 3)) for r in ratios)
        candidates = (cls(starts, keep, shape) for keep in shares)
        return fit(candidates, tokens, shape, counting)

    def __str__(self) -> str:
        shares = " / ".join(f"{100 * share:.3g}" for share in self.keep)
        return f"PyramidDrop ({shares} % from layers {' / '.join(map(str, self.layers))})"
