"""Visual tokens pruned inside the language model: FastV, SparseVLM and PyramidDrop, by name."""

from difflib import get_close_matches

from vzlib.baselines.in_llm.fastv import FastV
from vzlib.baselines.in_llm.generation import Prompt, embed_prompt, generate, last_logits
from vzlib.baselines.in_llm.judging import Judged, judge, open_images
from vzlib.baselines.in_llm.prefill import Opening, Pruned, open_prompt, pruned_prefill
from vzlib.baselines.in_llm.pyramid_drop import PyramidDrop
from vzlib.baselines.in_llm.reduction import Reduction
from vzlib.baselines.in_llm.schedule import (
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
from vzlib.baselines.in_llm.sparsevlm import AdaptiveSparseVLM, SparseVLM

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
