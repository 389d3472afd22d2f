"""Schedules: before which layers visual tokens are pruned, and to how many.

The published ones are written for 32 layers and 576 visual tokens. There they are taken literally.
On any other shape one rule scales them all: the number of layers before a stage is multiplied by
layers / 32 and a number of tokens by visual / 576, both rounded to the nearest whole number (halves
to even). At least one token stays, no two stages share a layer, and at least two layers run before
the first stage, as they do in every published schedule: in the very first layer the last token has
seen nothing but itself, and what it would choose knows nothing of the question. (One layer runs if
there are too few for two, or if a schedule is written so.)
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, TypeVar

from vzlib.methods.method import Method
from vzlib.tokens.budget import BudgetError

if TYPE_CHECKING:
    from torch import Tensor


class Shape(NamedTuple):
    """What a schedule is written for: a language model's layers and the visual tokens it is fed."""

    layers: int
    visual: int


PUBLISHED = Shape(layers=32, visual=576)  # LLaVA-1.5-7B


class Stage(NamedTuple):
    """A place where visual tokens are pruned.

    layer: the first layer that runs without them, counted from 0.
    votes_of: the layer whose attention rates the tokens: the one before, or `layer` itself.
    keep: how many stay, or how to tell from the raters' attention to them, `[raters, tokens]`.
    recycles: some of the dropped tokens come back as a few averages (SparseVLM).
    """

    layer: int
    votes_of: int
    keep: "int | Callable[[Tensor], int]"
    recycles: bool = False


class Inside(Method, ABC):
    """A reduction inside the language model."""

    @abstractmethod
    def stages(self, layers: int, visual: int) -> tuple[Stage, ...]:
        """Where it prunes, in order. Raises BudgetError for a shape it does not fit."""

    @abstractmethod
    def raters(self, visual: "Tensor", text: "Tensor", words: "Tensor") -> "Tensor":
        """Which tokens of the text after the image vote: `[B, T]` bool, at least one per row.

        visual: `[B, V, D]` projected visual tokens. text: `[B, T, D]` embeddings.
        words: `[B, T]` bool, which tokens of the text may vote, at least one per row.
        """


Counting = Literal["inputs", "outputs", "last"]
Some = TypeVar("Some", bound=Inside)


class Fitted(NamedTuple, Generic[Some]):
    """The schedule nearest to a wanted layer average, and the average it really has."""

    method: Some
    wanted: float
    average: float

    def __str__(self) -> str:
        return f"{self.method}: {self.average:.2f} visual tokens per layer on average"


class OutOfReach(BudgetError):
    """No schedule of a method has the wanted layer average; `nearest` is the closest one."""

    def __init__(self, message: str, nearest: Fitted) -> None:
        super().__init__(message)
        self.nearest = nearest


def scaled_layers(before: Sequence[int], written_for: Shape, layers: int) -> tuple[int, ...]:
    """How many of `layers` run before each stage, for a schedule with `before` on its own shape.

    Raises BudgetError if there are not more layers than stages, or if `before` does not ascend
    from at least 1 to less than the layers it is written for.
    """
    within = [0, *before, written_for.layers]
    if any(here >= there for here, there in pairwise(within)):
        raise BudgetError(
            f"layers before the stages {tuple(before)} must ascend from at least 1 to at most "
            f"{written_for.layers - 1}, as the schedule is written for {written_for.layers} layers"
        )
    if layers <= len(before):
        raise BudgetError(
            f"{len(before)} stages need at least {len(before) + 1} layers, not {layers}"
        )
    scaled: list[int] = []
    for number, layer in enumerate(before):
        at_least = scaled[-1] + 1 if scaled else min(layer, 2)
        at_most = layers - len(before) + number  # a layer for every stage to come
        scaled.append(min(max(round(layer * layers / written_for.layers), at_least), at_most))
    return tuple(scaled)


def scaled_count(count: float, written_for: Shape, visual: int) -> int:
    """Tokens out of `visual`, for `count` on the shape the schedule is written for; at least 1."""
    return min(max(round(count * visual / written_for.visual), 1), visual)


def recycled_candidates(dropped: int) -> int:
    """How many of the dropped tokens are recycled: SparseVLM's int(0.3 dropped) + 1."""
    return int(dropped * 0.3) + 1


def clusters(dropped: int) -> int:
    """Tokens that SparseVLM makes of the dropped ones: one per 10 recycled, and one more."""
    return recycled_candidates(dropped) // 10 + 1


def visual_by_layer(stages: Sequence[Stage], layers: int, visual: int) -> tuple[int, ...]:
    """Visual tokens that enter each layer.

    Raises ValueError for a schedule whose counts depend on the prompt; `Pruned.counts` tells
    them after a prefill.
    """
    counts = []
    at = {stage.layer: stage for stage in stages}
    for layer in range(layers):
        if layer in at and at[layer].keep != visual:
            stage = at[layer]
            if not isinstance(stage.keep, int):
                raise ValueError("the counts of a rank-adaptive schedule depend on the prompt")
            keep = min(stage.keep, visual)
            visual = keep + (clusters(visual - keep) if stage.recycles and keep < visual else 0)
        counts.append(visual)
    return tuple(counts)


def layer_average(counts: Sequence[int], counting: Counting = "inputs") -> float:
    """Visual tokens per layer on average, from those that enter each layer.

    counting: "inputs" counts what a layer computes on. "outputs" counts what leaves it, as the
        released SparseVLM does, whose pruning layers so appear cheaper than they are. "last" is no
        average but what the last layer computes on: schedules that end alike, whatever they cost.
    """
    if counting == "last":
        return float(counts[-1])
    if counting == "outputs":
        counts = [*counts[1:], counts[-1]]
    return sum(counts) / len(counts)


def fit(
    candidates: Iterable[Some], wanted: float, shape: Shape, counting: Counting = "inputs"
) -> Fitted[Some]:
    """The candidate whose layer average on `shape` is nearest to `wanted` tokens.

    Raises OutOfReach if `wanted` is below the lowest or above the highest average by half a token.
    """
    fitted = []
    for method in candidates:
        counts = visual_by_layer(method.stages(*shape), *shape)
        fitted.append(Fitted(method, wanted, layer_average(counts, counting)))
    nearest = min(fitted, key=lambda one: abs(one.average - wanted))
    low, high = (extreme(one.average for one in fitted) for extreme in (min, max))
    if not low - 0.5 <= wanted <= high + 0.5:
        raise OutOfReach(
            f"an average of {wanted} visual tokens per layer is out of reach on {shape.layers} "
            f"layers and {shape.visual} tokens, where {type(nearest.method).__name__} allows "
            f"{low:.2f} to {high:.2f}; the nearest is {nearest}",
            nearest,
        )
    return nearest
