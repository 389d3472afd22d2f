"""SparseVLM (Zhang et al., ICML 2025): the words that look like the image choose what stays.

Both released versions: v1 (2024, the one VisionZip compares with), where the rank of the raters'
attention tells how many tokens stay, and v1.5 (2025), with fixed lists. In both, part of what is
dropped comes back as averages of clusters.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor

from vzlib.methods.inside.schedule import (
    PUBLISHED,
    Counting,
    Fitted,
    Inside,
    Shape,
    Stage,
    fit,
    scaled_count,
    scaled_layers,
)
from vzlib.methods.method import Count, NotNegative
from vzlib.tokens.budget import BudgetError
from vzlib.tokens.precision import at_least_float32, without_autocast

# By the name of the budget, which is their layer average as the released code counts it.
LISTS = {192: (300, 200, 110), 128: (303, 110, 36), 64: (66, 30, 17)}
RANKS = {192: (13.5, 0.0), 128: (9.0, 6.0), 64: (0.8, 0.0)}  # scale and bias, each for one task


@dataclass(frozen=True)
class SparseVLM(Inside):
    """SparseVLM v1.5: `keep` tokens stay after each of the `voting` layers, plus the recycled.

    The default is the list released as 192. recycles: whether clusters of what is dropped come
    back. written_for: the model's shape on which numbers are meant literally; scaled to any other.
    Raises BudgetError for counts that are not one for each voting layer, or layers that do not fit.
    """

    keep: tuple[Count, ...] = LISTS[192]
    voting: tuple[int, ...] = (2, 6, 15)
    recycles: bool = True
    written_for: Shape = PUBLISHED
    fitted: ClassVar[tuple[str, ...]] = ("keep", "written_for")

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.keep) != len(self.voting):
            raise BudgetError(
                f"keep={self.keep} must be a number for each of the voting layers {self.voting}"
            )
        _starts(self.voting, self.written_for, self.written_for.layers)

    def stages(self, layers: int, visual: int) -> tuple[Stage, ...]:
        """One stage behind each voting layer."""
        return tuple(
            Stage(start, start - 1, scaled_count(keep, self.written_for, visual), self.recycles)
            for start, keep in zip(
                _starts(self.voting, self.written_for, layers), self.keep, strict=True
            )
        )

    def raters(self, visual: Tensor, text: Tensor, words: Tensor) -> Tensor:
        """The words that look like the image: `[B, T]`; see `text_raters`."""
        return text_raters(visual, text, words)

    @classmethod
    def released(cls, retain: int) -> "SparseVLM":
        """The released list named 192, 128 or 64. Raises BudgetError for others."""
        return cls(_released(LISTS, retain))

    def for_average(
        self, tokens: float, layers: int, visual: int, *, counting: Counting = "inputs"
    ) -> Fitted["SparseVLM"]:
        """The same with counts for a wanted layer average on a model of this shape.

        They lie on straight lines between the released lists; below the smallest the line ends at
        one token, above the largest at all of them.
        counting: "outputs" makes 192, 128 and 64 mean about what the released lists call so.
        Raises OutOfReach, and BudgetError for other than three voting layers, as released.
        """
        shape = Shape(layers, visual)
        voting = tuple(start - 1 for start in _starts(self.voting, self.written_for, layers))
        if len(voting) != 3:
            raise BudgetError(f"voting={self.voting} must be three layers, as in released lists")
        lists = _between_lists(visual)
        own = replace(self, keep=(1, 1, 1), voting=voting, written_for=shape)
        return fit((replace(own, keep=keep) for keep in lists), tokens, shape, counting)

    def __str__(self) -> str:
        keep, voting = (" / ".join(map(str, numbers)) for numbers in (self.keep, self.voting))
        return f"SparseVLM v1.5 ({keep} after layers {voting})"


@dataclass(frozen=True)
class AdaptiveSparseVLM(Inside):
    """SparseVLM v1: int(rank x scale + bias) tokens stay after each voting layer.

    The rank is that of the raters' attention to the tokens, so that counts depend on the prompt;
    `Pruned.counts` tells them. Where the rank is full nothing is dropped.
    The default is the setting released as 192; the other fields are those of `SparseVLM`.
    """

    scale: NotNegative = RANKS[192][0]
    bias: NotNegative = RANKS[192][1]
    voting: tuple[int, ...] = (2, 6, 15, 19)
    recycles: bool = True
    written_for: Shape = PUBLISHED

    def __post_init__(self) -> None:
        super().__post_init__()
        _starts(self.voting, self.written_for, self.written_for.layers)

    def stages(self, layers: int, visual: int) -> tuple[Stage, ...]:
        """One stage behind each voting layer."""
        starts = _starts(self.voting, self.written_for, layers)
        keep = self._count(visual)
        return tuple(Stage(start, start - 1, keep, self.recycles) for start in starts)

    def raters(self, visual: Tensor, text: Tensor, words: Tensor) -> Tensor:
        """The words that look like the image: `[B, T]`; see `text_raters`."""
        return text_raters(visual, text, words)

    @classmethod
    def released(cls, retain: int) -> "AdaptiveSparseVLM":
        """The released setting named 192 (MME), 128 (POPE) or 64 (TextVQA). Raises BudgetError."""
        return cls(*_released(RANKS, retain))

    def _count(self, visual: int) -> Callable[[Tensor], int]:
        def count(rows: Tensor) -> int:
            rank = int(torch.linalg.matrix_rank(rows.float()))
            if rank == rows.shape[1]:
                return rank
            return scaled_count(int(rank * self.scale + self.bias), self.written_for, visual)

        return count

    def __str__(self) -> str:
        voting = " / ".join(map(str, self.voting))
        return f"SparseVLM v1 (rank x {self.scale} + {self.bias} after layers {voting})"


def text_raters(visual: Tensor, text: Tensor, words: Tensor) -> Tensor:
    """Words that receive more than the average word of the image's attention: `[B, T]` bool.

    Attention is the softmax over the words of the products of embeddings, as they enter the
    language model, mean over visual tokens. If all words receive the same, all are raters.

    visual: `[B, V, D]`. text: `[B, T, D]`. words: `[B, T]` bool, those of the text that count.
    """
    with without_autocast(visual):
        products = at_least_float32(visual) @ at_least_float32(text).transpose(1, 2)
    products = products.masked_fill(~words.unsqueeze(1), float("-inf"))
    received = products.softmax(dim=2).mean(dim=1)
    average = received.sum(dim=1, keepdim=True) / words.sum(dim=1, keepdim=True)
    raters = (received > average) & words
    return torch.where(raters.any(dim=1, keepdim=True), raters, words)


def _starts(voting: tuple[int, ...], written_for: Shape, layers: int) -> tuple[int, ...]:
    return scaled_layers([layer + 1 for layer in voting], written_for, layers)


def _released(settings: dict[int, Any], retain: int) -> Any:
    if retain not in settings:
        near = min(settings, key=lambda one: abs(one - retain))
        allowed = ", ".join(map(str, settings))
        raise BudgetError(f"retain={retain} was not released; the nearest is {near} of {allowed}")
    return settings[retain]


def _between_lists(visual: int) -> Iterator[tuple[int, ...]]:
    anchors = [(1.0,) * 3, *(tuple(map(float, LISTS[name])) for name in (64, 128, 192))]
    anchors.append((float(PUBLISHED.visual),) * 3)
    for low, high in pairwise(anchors):
        for step in range(visual + 1):
            mixed = (a + (b - a) * step / visual for a, b in zip(low, high, strict=True))
            yield tuple(scaled_count(count, PUBLISHED, visual) for count in mixed)
