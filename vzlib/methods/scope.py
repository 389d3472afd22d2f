"""SCOPE: patches that many others resemble and that CLS attends to."""

from dataclasses import dataclass

from torch import Tensor

from vzlib.methods.before import Patches, Pruning
from vzlib.methods.coverage import most_covering
from vzlib.methods.method import NotNegative
from vzlib.methods.similarity import cosine


@dataclass(frozen=True)
class SCOPE(Pruning):
    """Patches chosen one by one for the attention they receive times what they newly cover.

    Published (NeurIPS 2025, and the released code): what a choice covers of a patch is its highest
    cosine (hidden states of layer -2) with one chosen, at least 0; a patch is worth its CLS
    attention to the power of alpha, times what it adds to the cover of all.
    Here: the same. Released, attention is summed over heads, a factor that changes no choice.
    Without a CLS token, the mean attention received.
    Checked against: a plain loop that recomputes the whole cover at every step; a case by hand.

    alpha: 0 lets coverage alone decide.
    """

    alpha: NotNegative = 1.0

    def choose(self, patches: Patches, retain: int) -> Tensor:
        alike = cosine(patches.hidden, patches.hidden)
        return most_covering(alike, retain, patches.scores.to(alike.dtype) ** self.alpha)
