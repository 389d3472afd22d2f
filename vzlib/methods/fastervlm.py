"""FasterVLM: the patches the CLS token attends to."""

from torch import Tensor

from vzlib.methods.patches import patches_of
from vzlib.tokens import select_dominant
from vzlib.tokens.evidence import Encoded
from vzlib.tokens.merging import take_tokens


def fastervlm(encoded: Encoded, retain: int, *, has_cls: bool, seed: int = 0) -> Tensor:
    """The patches with the highest CLS attention, in raster order; the others are dropped.

    Published (arXiv 2412.01818v1, and the released code): attention of the CLS token at layer -2,
    mean over heads; no CLS token among the output, no merging. These are VisionZip's dominant
    tokens without CLS, so the two differ by contextual merging and the CLS token alone.
    Here: the same. Without a CLS token, which the paper requires, the mean attention received.
    Checked against: a plain sort; the dominant tokens of VisionZip at `retain` + 1.
    """
    patches = patches_of(encoded, retain, has_cls)
    return take_tokens(patches.hidden, select_dominant(patches.scores, retain, cls=False))
