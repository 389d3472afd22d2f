"""Visual tokens pruned inside the language model: FastV, SparseVLM and PyramidDrop, by name."""

from difflib import get_close_matches

from vzlib.evaluation.decoding import Prompt, embed_prompt, generate, last_logits
from vzlib.evaluation.judging import Judged, judge, open_images
from vzlib.methods.fastv import FastV
from vzlib.methods.inside.pruned_prefill import Opening, Pruned, open_prompt, pruned_prefill
from vzlib.methods.inside.reduction import Reduction
from vzlib.methods.inside.schedule import (
    PUBLISHED,
    Counting,
    Fitted,
    Method,
    OutOfReach,
    Shape,
    Stage,
    layer_average,
    visual_by_layer,
)
from vzlib.methods.pyramid_drop import PyramidDrop
from vzlib.methods.sparsevlm import AdaptiveSparseVLM, SparseVLM

__all__ = [
    "METHODS",
    "PUBLISHED",
    "AdaptiveSparseVLM",
    "Counting",
    "FastV",
    "Fitted",
    "Judged",
    "Method",
    "Opening",
    "OutOfReach",
    "Prompt",
    "Pruned",
    "PyramidDrop",
    "Reduction",
    "Shape",
    "SparseVLM",
    "Stage",
    "embed_prompt",
    "generate",
    "judge",
    "last_logits",
    "layer_average",
    "method",
    "open_images",
    "open_prompt",
    "pruned_prefill",
    "visual_by_layer",
]

METHODS: dict[str, type[FastV | SparseVLM | AdaptiveSparseVLM | PyramidDrop]] = {
    "fastv": FastV,
    "sparsevlm": SparseVLM,  # v1.5
    "sparsevlm-v1": AdaptiveSparseVLM,
    "pyramiddrop": PyramidDrop,
}


def method(name: str) -> type[FastV | SparseVLM | AdaptiveSparseVLM | PyramidDrop]:
    """The class of that name. Raises ValueError naming the nearest and all allowed."""
    if name not in METHODS:
        near = get_close_matches(name, METHODS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"method {name!r} is unknown{hint}; allowed: {', '.join(METHODS)}")
    return METHODS[name]
