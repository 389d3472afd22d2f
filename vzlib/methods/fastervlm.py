"""FasterVLM: the patches the CLS token attends to."""

from dataclasses import dataclass

from torch import Tensor

from vzlib.methods.before import Patches, Pruning
from vzlib.tokens import select_dominant


@dataclass(frozen=True)
class FasterVLM(Pruning):
    """The patches with the highest CLS attention; the others are dropped.

    Published (arXiv 2412.01818v1, and the released code): attention of the CLS token at layer -2,
    mean over heads; no CLS token among the output, no merging. These are VisionZip's dominant
    tokens without CLS, so the two differ by contextual merging and the CLS token alone.
    Here: the same. Without a CLS token, which the paper requires, the mean attention received.
    Checked against: a plain sort; the dominant tokens of VisionZip at `retain` + 1.
    """

    def choose(self, patches: Patches, retain: int) -> Tensor:
        return select_dominant(patches.scores, retain, cls=False)
