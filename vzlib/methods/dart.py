"""DART before the language model: patches that repeat none of a few pivots."""

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from vzlib.methods.before import Patches, Pruning
from vzlib.methods.coverage import places_of
from vzlib.methods.similarity import cosine
from vzlib.tokens.merging import take_tokens
from vzlib.tokens.precision import at_least_float32

Pivots = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class DART(Pruning):
    """Pivots by the length of their embedding; each takes the patches that are least like it.

    Published (arXiv 2502.11494, EMNLP 2025) inside the language model; on the embeddings at its
    input as in TensorRT-Edge-LLM: the 4 patches and the 4 words of largest L1 norm are pivots. One
    after the other, image pivots first, takes an eighth of what is left of the budget: of the
    patches not yet taken those of lowest cosine to it. Image pivots stay too.
    Here: the same; where an eighth is no integer, the first pivots take one more. A question with
    fewer words than text pivots uses its longest once more.
    Checked against: a plain loop in lists; a case by hand.

    image_pivots, text_pivots: how many; at least one in all.
    """

    image_pivots: Pivots = 4
    text_pivots: Pivots = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_pivots + self.text_pivots < 1:
            raise ValueError("DART: image_pivots=0 and text_pivots=0 leave no pivot, give one")

    @property
    def needs(self) -> tuple[str, ...]:
        return ("projected", "text") if self.text_pivots else ("projected",)

    def choose(self, patches: Patches, retain: int) -> Tensor:
        visual = at_least_float32(patches.given("projected"))
        longest = visual.abs().sum(dim=2).argsort(dim=1, descending=True, stable=True)
        own = longest[:, : min(self.image_pivots, retain)]
        pivots = [take_tokens(visual, own)]
        if self.text_pivots:
            pivots.append(self._of_text(patches))
        alike = cosine(torch.cat(pivots, dim=1), visual)  # [B, pivots, S]

        taken = torch.zeros(alike.shape[0], alike.shape[2], dtype=torch.bool, device=alike.device)
        taken = taken.scatter(1, own, True)
        each, more = divmod(retain - own.shape[1], alike.shape[1])
        for number in range(alike.shape[1]):
            likeness = alike[:, number].masked_fill(taken, torch.inf)
            unlike = likeness.argsort(dim=1, stable=True)[:, : each + (number < more)]
            taken = taken.scatter(1, unlike, True)
        return places_of(taken, retain)

    def _of_text(self, patches: Patches) -> Tensor:
        text = at_least_float32(patches.given("text"))
        length = text.abs().sum(dim=2).masked_fill(~patches.words(), -1)
        ranked = length.sort(dim=1, descending=True, stable=True)
        index, length = (part[:, : self.text_pivots] for part in (ranked.indices, ranked.values))
        return take_tokens(text, torch.where(length < 0, index[:, :1], index))
