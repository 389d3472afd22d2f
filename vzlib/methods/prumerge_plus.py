"""PruMerge+: attention outliers and evenly spaced patches, each with what is similar to it."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from vzlib.methods.before import OfPatches, Patches
from vzlib.methods.method import Count, NotNegative, Share
from vzlib.methods.similarity import cosine
from vzlib.tokens.evidence import Reduced
from vzlib.tokens.merging import take_tokens
from vzlib.tokens.precision import at_least_float32, without_autocast


@dataclass(frozen=True)
class PruMergePlus(OfPatches):
    """PruMerge+ within a budget: `retain` - 1 patches in raster order and one token of the rest.

    Published (arXiv 2403.15388, and the released code): patches are kept whose CLS attention is an
    outlier (above the third quartile by 1.5 interquartile ranges), and about three times as many at
    every n-th place, so their number depends on the image and cannot be set. Each kept patch adds
    the sum of its 32 nearest patches (cosine of keys) weighted by their attention, not normalised;
    a last token is the sum of all dropped patches, weighted alike.
    Here: the outliers are kept too, the most attended first and up to half of the budget (the split
    of the released variant with a fixed ratio), and evenly spaced places among all other patches
    fill the budget exactly: at the published average, a quarter of the patches, close to the
    published numbers of both. Attention and keys are those every method reads (layer
    -2, mean over heads); released, layer -1 taken as one wide head. Without a CLS token, the mean
    attention received.
    A patch that is added to several is told of the kept one most like it, else of the last token,
    which stands nowhere.
    Checked against: the released sums worked out by hand; a plain loop over images; the outliers
    are kept; the spacing is even.

    neighbours: patches added to each one kept. spread: interquartile ranges above the third
        quartile from which on attention is an outlier. outlying: share of the budget that outliers
        have at most.
    """

    neighbours: Count = 32
    spread: NotNegative = 1.5
    outlying: Share = 0.5

    def reduce_patches(self, patches: Patches, retain: int) -> Reduced:
        most = int((retain - 1) * self.outlying)
        kept = outliers_and_spaced(patches.scores, retain - 1, most, self.spread)
        index = kept.logical_not().long().argsort(dim=1, stable=True)[:, : retain - 1]

        similarity = cosine(take_tokens(patches.keys, index), patches.keys)
        similarity = similarity.scatter(2, index.unsqueeze(2), -torch.inf)  # a patch is not its own
        count = min(self.neighbours, max(1, patches.hidden.shape[1] - 1))
        # By value and not by index, in which equals have no order.
        near = similarity >= similarity.topk(count, dim=2).values[..., -1:]
        hidden = at_least_float32(patches.hidden)
        attention = patches.scores.to(hidden.dtype).unsqueeze(1)
        with without_autocast(hidden):
            tokens = take_tokens(hidden, index) + (attention * near) @ hidden
            rest = (attention * kept.logical_not().unsqueeze(1)) @ hidden
        tokens = torch.cat([tokens, rest], dim=1).to(patches.hidden.dtype)

        # Below any cosine, so that the last token has what is near to none.
        alike = pad(similarity.masked_fill(~near, -torch.inf), (0, 0, 0, 1), value=-2)
        numbers = torch.arange(retain - 1, device=index.device).expand_as(index)
        sources = alike.argmax(dim=1).scatter(1, index, numbers)
        return Reduced(tokens, pad(index, (0, 1), value=-1), sources)


def outliers_and_spaced(scores: Tensor, count: int, most: int, spread: float = 1.5) -> Tensor:
    """Which patches are kept, bool `[B, S]`, exactly `count` of each image's.

    Outliers, at most `most` of them, and evenly spaced ones among the others.
    """
    lower, upper = scores.quantile(scores.new_tensor([0.25, 0.75]), dim=1).unsqueeze(-1)
    rank = scores.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    outlier = (scores > upper + spread * (upper - lower)) & (rank < most)

    missing = count - outlier.sum(dim=1, keepdim=True)
    others = scores.shape[1] - outlier.sum(dim=1, keepdim=True)
    # Place p of the others is taken if a multiple of `others` lies among the next `missing`.
    place = outlier.logical_not().cumsum(dim=1) - 1
    before, after = (((p * missing + others // 2) // others) for p in (place, place + 1))
    return outlier | (outlier.logical_not() & (after > before))
