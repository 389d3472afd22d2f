"""What the reductions before the language model have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from vzlib.methods.method import Method
from vzlib.tokens import BudgetError
from vzlib.tokens.evidence import Encoded, Reduced
from vzlib.tokens.merging import take_tokens


class Further(NamedTuple):
    """What only some methods ask for; `needs` of a method says what it must be given.

    received: [B, L, S] attention that every token received in every block of the tower, counted as
        the scores of `Encoded` are. received_from_all: the same from all tokens, CLS or not.
    projected: [B, S, E] what the projector makes of every token.
    text: [B, T, E] the question's tokens, as the language model embeds them.
    words: [B, T] bool, False where `text` is padding; None if it is nowhere.
    grid: rows and columns of patches; None for a square.
    smaller: patches [B, rows * columns, D] that the tower gives for the same images, made smaller
        to so many rows and columns of patches.
    """

    received: Tensor | None = None
    received_from_all: Tensor | None = None
    projected: Tensor | None = None
    text: Tensor | None = None
    words: Tensor | None = None
    grid: tuple[int, int] | None = None
    smaller: Callable[[int, int], Tensor] | None = None


NOTHING = Further()
TOLD = {
    "received": "the attention received in every block of the tower",
    "received_from_all": "the attention received from all tokens in every block of the tower",
    "projected": "what the projector makes of the tokens",
    "text": "the question, embedded by the language model",
    "smaller": "the tower, to look at a smaller image",
}


class Patches(NamedTuple):
    """What is known of the patches alone, without CLS: LLaVA's projector was trained on these.

    hidden, scores, keys: as of `Encoded`. seed: of what is drawn at random, if anything is.
    """

    hidden: Tensor
    scores: Tensor
    keys: Tensor
    seed: int = 0
    further: Further = NOTHING

    def given(self, name: str) -> Tensor:
        """What a method needs of `further`."""
        value: Tensor = getattr(self.further, name)
        return value

    def words(self) -> Tensor:
        """Which tokens of the question's `text` are no padding: `[B, T]` bool."""
        text, words = self.given("text"), self.further.words
        everywhere = torch.ones(text.shape[:2], dtype=torch.bool, device=text.device)
        return everywhere if words is None else words


class Before(Method, ABC):
    """A reduction before the language model."""

    @property
    def needs(self) -> tuple[str, ...]:
        """What of `Further` must be given."""
        return ()

    def check(self, retain: int, patches: int) -> None:
        """Raise BudgetError for a number that cannot be retained of so many patches, in advance.

        What every method asks for, a whole number that there are enough tokens for, is not asked.
        """

    @abstractmethod
    def reduce(
        self,
        encoded: Encoded,
        retain: int,
        *,
        has_cls: bool,
        seed: int = 0,
        further: Further = NOTHING,
    ) -> Reduced:
        """`retain` tokens of those that a tower gives, and where they came from.

        encoded: as of `vzlib.models.encode`. has_cls: whether its token 0 is a CLS token.
        seed: of what is drawn at random, if anything is.
        Raises BudgetError for a number of tokens that cannot be retained, ValueError where
        something that the method needs is missing. The host never waits for the device.
        """

    def check_given(self, encoded: Encoded, further: Further) -> None:
        """Raise ValueError unless all that the method needs is there, in shapes that fit."""
        if missing := [TOLD[name] for name in self.needs if getattr(further, name) is None]:
            raise ValueError(f"{self.name} must be given {' and '.join(missing)}")
        if wrong := _misfits(encoded, further, self.needs):
            raise ValueError(f"{self.name} cannot use what it is given: {'; '.join(wrong)}")


class OfPatches(Before):
    """A reduction that leaves CLS out: what else it does is said by `reduce_patches`."""

    def reduce(
        self,
        encoded: Encoded,
        retain: int,
        *,
        has_cls: bool,
        seed: int = 0,
        further: Further = NOTHING,
    ) -> Reduced:
        self.check_given(encoded, further)
        patches = patches_of(encoded, has_cls, seed, further)
        check_retain(retain, patches.hidden.shape[1])
        reduced = self.reduce_patches(patches, retain)
        if not has_cls:
            return reduced
        places = torch.where(reduced.places < 0, -1, reduced.places + 1)
        return Reduced(reduced.tokens, places, pad(reduced.sources, (1, 0), value=-1))

    @abstractmethod
    def reduce_patches(self, patches: Patches, retain: int) -> Reduced:
        """`retain` tokens, from 1 to as many as there are patches; indices count patches."""


class Pruning(OfPatches):
    """A reduction that keeps some patches as they are, in raster order, and drops the others."""

    def reduce_patches(self, patches: Patches, retain: int) -> Reduced:
        with torch.no_grad():  # a choice has no gradient; what is kept has
            index = self.choose(patches, retain)
        tokens = take_tokens(patches.hidden, index)
        return Reduced(tokens, index, sources_of(index, patches.hidden.shape[1]))

    @abstractmethod
    def choose(self, patches: Patches, retain: int) -> Tensor:
        """The patches that stay: `[B, retain]`, ascending."""


def patches_of(
    encoded: Encoded, has_cls: bool, seed: int = 0, further: Further = NOTHING
) -> Patches:
    """`encoded`, and what is known besides, without the CLS token."""
    first = int(has_cls)
    hidden, scores, keys = (part[:, first:] for part in encoded)
    by_block = ("received", "received_from_all")
    cut = {name: value[..., first:] for name in by_block
           if (value := getattr(further, name)) is not None}  # fmt: skip
    if further.projected is not None:
        cut["projected"] = further.projected[:, first:]
    return Patches(hidden, scores, keys, seed, further._replace(**cut))


def _misfits(encoded: Encoded, further: Further, needs: Sequence[str]) -> list[str]:
    """What is wrong with the shapes of what is needed."""
    batch, tokens = encoded.hidden.shape[:2]
    width = "E" if further.projected is None else further.projected.shape[-1]
    wanted: dict[str, tuple[Any, ...]] = {
        "received": (batch, "L", tokens),
        "received_from_all": (batch, "L", tokens),
        "projected": (batch, tokens, "E"),
        "text": (batch, "T", width),
    }
    given = {name: getattr(further, name) for name in needs if name in wanted}
    if "text" in given and further.words is not None:
        wanted["words"], given["words"] = (batch, given["text"].shape[1]), further.words
    return [
        f"{name} must be [{', '.join(map(str, wanted[name]))}], not {list(value.shape)}"
        for name, value in given.items()
        if value.ndim != len(wanted[name])
        or any(is_ != to_be for is_, to_be in zip(value.shape, wanted[name], strict=True)
               if isinstance(to_be, int))
    ]  # fmt: skip


def check_retain(retain: object, count: int, what: str = "patches") -> None:
    """Raise BudgetError unless `retain` is an integer between 1 and the `count` of tokens."""
    whole = isinstance(retain, Integral) and not isinstance(retain, bool)
    if not whole or retain not in range(1, count + 1):
        raise BudgetError(f"retain={retain} must be an integer between 1 and {count} {what}")


def sources_of(places: Tensor, count: int) -> Tensor:
    """`[B, count]`: the number of each token among `places` [B, K], -1 for those not there."""
    numbers = torch.arange(places.shape[1], device=places.device).expand_as(places)
    return places.new_full((len(places), count), -1).scatter(1, places, numbers)
