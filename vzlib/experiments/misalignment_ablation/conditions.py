"""What the ablation of Table 5 offers a language model that chooses by the text.

An offer is a reduction before the language model that remembers which patches it gave, so that what
is kept inside can be found again in the image.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from vzlib.methods.fastv import FastV
from vzlib.methods.inside.schedule import Method, Shape, visual_by_layer
from vzlib.methods.sparsevlm import SparseVLM
from vzlib.tokens import Budget, BudgetError, select_and_merge
from vzlib.tokens.evidence import Encoded
from vzlib.tokens.merging import take_tokens

Rating = Callable[[Encoded, int], Tensor]
Chosen = tuple[Tensor, Tensor]  # tokens [B, K, D], the patch of each [B, K]


class Offer:
    """A reduction for a `Way`. patches: `[B, K]` of its last batch, -1 for the CLS token."""

    def __init__(self, choose: Callable[[Encoded, int], Chosen]):
        self._choose = choose
        self.patches: Tensor

    def __call__(self, encoded: Encoded, seed: int) -> Tensor:
        tokens, patches = self._choose(encoded, seed)
        self.patches = patches.cpu()
        return tokens


def offer(condition: str, *, removed: int, offered: int, kept: int, cls: bool) -> Offer:
    """What a condition offers; counts are patches (for "zipped" and "visionzip" tokens).

    baseline: every patch. ex1: all but the `removed` most attended. ex2: the `offered` most
    attended. ex2 zipped: VisionZip's `offered` tokens as released, CLS and contextual ones among
    them; these stand where their targets stood. visionzip, random: `kept` tokens.
    The same with random instead of attention: ex1 random, ex2 random.

    Raises KeyError for another condition.
    """
    if condition in ("ex2 zipped", "visionzip"):
        budget = Budget.retain(offered if condition == "ex2 zipped" else kept, has_cls=cls)
        return Offer(lambda encoded, seed: _zipped(encoded, budget))
    ranks = {
        "baseline": slice(None),
        "ex1": slice(removed, None),
        "ex1 random": slice(removed, None),
        "ex2": slice(offered),
        "ex2 random": slice(offered),
        "random": slice(kept),
    }[condition]
    rating: Rating = drawn if condition.endswith("random") else received

    def choose(encoded: Encoded, seed: int) -> Chosen:
        patches = Encoded(*(part[:, int(cls) :] for part in encoded))
        ranked = rating(patches, seed).argsort(dim=1, descending=True, stable=True)
        chosen = ranked[:, ranks].sort(dim=1).values
        return take_tokens(patches.hidden, chosen), chosen

    return Offer(choose)


def received(patches: Encoded, seed: int) -> Tensor:
    """The encoder's attention to each patch, `[B, P]`."""
    return patches.scores


def drawn(patches: Encoded, seed: int) -> Tensor:
    """Random numbers `[B, P]`, the same on every device."""
    draw = torch.rand(patches.scores.shape, generator=torch.Generator().manual_seed(seed))
    return draw.to(patches.scores.device)


def _zipped(encoded: Encoded, budget: Budget) -> Chosen:
    zipped = select_and_merge(*encoded, budget)
    places = torch.cat([zipped.kept, zipped.targets], dim=1)
    return zipped.tokens, places - int(budget.cls)


def inside(selector: str, kept: int, offered: int, whole: Shape) -> Method:
    """A selector that goes from `offered` to exactly `kept` tokens, at the same layers whatever is
    offered.

    fastv: K = 2 of 32 layers, scaled; R leaves `kept`. sparsevlm: on straight lines between the
    released lists of v1.5, the schedule that goes from all tokens of `whole` to `kept`; where fewer
    are offered it keeps as many, or all that there are.

    Raises BudgetError for a language model with too few layers, or if no schedule ends there.
    """
    if selector == "fastv":
        return FastV.for_average(kept, whole.layers, offered, counting="last").method
    schedule = SparseVLM.for_average(kept, *whole, counting="last").method
    given = Shape(whole.layers, offered)
    *first, last = schedule.keep
    # What is recycled depends on how many are dropped, so the last count may have to give way.
    for keep in sorted(range(1, kept + 1), key=lambda keep: abs(keep - last)):
        method = replace(schedule, keep=(*first, keep), written_for=given)
        if visual_by_layer(method.stages(*given), *given)[-1] == kept:
            return method
    raise BudgetError(f"{schedule} cannot end with {kept} of {offered} tokens")
