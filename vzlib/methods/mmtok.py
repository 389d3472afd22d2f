"""MMTok: patches that cover the question's words and all other patches."""

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from vzlib.methods.before import Patches, Pruning
from vzlib.methods.coverage import most_covering
from vzlib.methods.method import NotNegative
from vzlib.methods.similarity import cosine

Temperature = Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class MMTok(Pruning):
    """Patches chosen one by one so that words and patches each have one that stands for them.

    Published (arXiv 2508.18264, ICLR 2026, and the released code): every word, as the language
    model embeds it, spreads itself over the projected patches by a softmax of cosines, every patch
    over the tower's patches likewise; a choice covers a word or patch by its highest share, and
    the mean over words plus half of the mean over patches is to be large, greedily.
    Here: the same.
    Checked against: a plain loop that recomputes the objective at every step; a case by hand.

    text_temperature, visual_temperature: of the two softmaxes. visual: weight of patches.
    """

    text_temperature: Temperature = 0.02
    visual_temperature: Temperature = 0.2
    visual: NotNegative = 0.5

    @property
    def needs(self) -> tuple[str, ...]:
        return ("projected", "text")

    def choose(self, patches: Patches, retain: int) -> Tensor:
        words = patches.words()
        of_words = cosine(patches.given("text"), patches.given("projected"))
        of_words = (of_words / self.text_temperature).softmax(dim=2) * words.unsqueeze(2)
        of_words = of_words / words.sum(dim=1)[:, None, None]
        of_patches = cosine(patches.hidden, patches.hidden) / self.visual_temperature
        of_patches = of_patches.softmax(dim=2) * (self.visual / of_patches.shape[1])
        covers = torch.cat([of_words, of_patches], dim=1)
        return most_covering(covers, retain, torch.ones_like(covers[:, 0]))
