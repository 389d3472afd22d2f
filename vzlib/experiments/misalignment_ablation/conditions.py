"""What the ablation of Table 5 offers a language model that chooses by the text."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vzlib.methods.before import Before, Patches, Pruning
from vzlib.methods.fastv import FastV
from vzlib.methods.inside.schedule import Inside, Shape, visual_by_layer
from vzlib.methods.sparsevlm import SparseVLM
from vzlib.methods.visionzip import VisionZip
from vzlib.tokens import BudgetError


@dataclass(frozen=True)
class Ranked(Pruning):
    """The patches next in rank after the `skipped` first ones.

    at_random: ranked by random numbers, the same on every device, instead of received attention.
    """

    skipped: int = 0
    at_random: bool = False

    def choose(self, patches: Patches, retain: int) -> Tensor:
        scores = patches.scores
        if self.at_random:
            draw = torch.rand(scores.shape, generator=torch.Generator().manual_seed(patches.seed))
            scores = draw.to(scores.device)
        ranked = scores.argsort(dim=1, descending=True, stable=True)
        return ranked[:, self.skipped : self.skipped + retain].sort(dim=1).values


def offer(
    condition: str, *, patches: int, removed: int, offered: int, kept: int
) -> tuple[Before, int]:
    """What a condition offers by, and how many tokens.

    baseline: every patch. ex1: all but the `removed` most attended. ex2: the `offered` most
    attended. ex2 zipped: VisionZip's `offered` tokens as released, CLS and contextual ones among
    them. visionzip, random: `kept` tokens. ex1 random, ex2 random: by random numbers instead.

    Raises KeyError for another condition.
    """
    return {
        "baseline": (Ranked(), patches),
        "ex1": (Ranked(removed), patches - removed),
        "ex1 random": (Ranked(removed, at_random=True), patches - removed),
        "ex2": (Ranked(), offered),
        "ex2 zipped": (VisionZip(), offered),
        "ex2 random": (Ranked(at_random=True), offered),
        "visionzip": (VisionZip(), kept),
        "random": (Ranked(at_random=True), kept),
    }[condition]


def inside(selector: str, kept: int, offered: int, whole: Shape) -> Inside:
    """A selector that goes from `offered` to exactly `kept` tokens, at the same layers whatever is
    offered.

    fastv: K = 2 of 32 layers, scaled; R leaves `kept`. sparsevlm: on straight lines between the
    released lists of v1.5, the schedule that goes from all tokens of `whole` to `kept`; where fewer
    are offered it keeps as many, or all that there are.

    Raises BudgetError for a language model with too few layers, or if no schedule ends there.
    """
    if selector == "fastv":
        return FastV().for_average(kept, whole.layers, offered, counting="last").method
    schedule = SparseVLM().for_average(kept, *whole, counting="last").method
    given = Shape(whole.layers, offered)
    *first, last = schedule.keep
    # What is recycled depends on how many are dropped, so the last count may have to give way.
    for keep in sorted(range(1, kept + 1), key=lambda keep: abs(keep - last)):
        method = replace(schedule, keep=(*first, keep), written_for=given)
        if visual_by_layer(method.stages(*given), *given)[-1] == kept:
            return method
    raise BudgetError(f"{schedule} cannot end with {kept} of {offered} tokens")
