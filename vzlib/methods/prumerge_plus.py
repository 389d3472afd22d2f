"""PruMerge+: attention outliers and evenly spaced patches, each with what is similar to it."""

import torch
from torch import Tensor

from vzlib.methods.patches import cosine, patches_of
from vzlib.tokens.evidence import Encoded
from vzlib.tokens.merging import take_tokens
from vzlib.tokens.precision import at_least_float32, without_autocast

NEIGHBOURS = 32  # as released


def prumerge_plus(encoded: Encoded, retain: int, *, has_cls: bool, seed: int = 0) -> Tensor:
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
    Checked against: a plain loop over single images; the outliers are kept; the spacing is even.
    """
    patches = patches_of(encoded, retain, has_cls)
    kept = outliers_and_spaced(patches.scores, retain - 1)
    index = kept.logical_not().long().argsort(dim=1, stable=True)[:, : retain - 1]

    similarity = cosine(take_tokens(patches.keys, index), patches.keys)
    similarity = similarity.scatter(2, index.unsqueeze(2), -torch.inf)  # a patch is not its own
    count = min(NEIGHBOURS, max(1, patches.hidden.shape[1] - 1))
    # By value and not by index, in which equals have no order.
    near = similarity >= similarity.topk(count, dim=2).values[..., -1:]
    hidden = at_least_float32(patches.hidden)
    attention = patches.scores.to(hidden.dtype).unsqueeze(1)
    with without_autocast(hidden):
        tokens = take_tokens(hidden, index) + (attention * near) @ hidden
        rest = (attention * kept.logical_not().unsqueeze(1)) @ hidden
    return torch.cat([tokens, rest], dim=1).to(patches.hidden.dtype)


def outliers_and_spaced(scores: Tensor, count: int) -> Tensor:
    """Which patches are kept, bool `[B, S]`, exactly `count` of each image's."""
    lower, upper = scores.quantile(scores.new_tensor([0.25, 0.75]), dim=1).unsqueeze(-1)
    rank = scores.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    outlier = (scores > upper + 1.5 * (upper - lower)) & (rank < count // 2)

    missing = count - outlier.sum(dim=1, keepdim=True)
    others = scores.shape[1] - outlier.sum(dim=1, keepdim=True)
    # Place p of the others is taken if a multiple of `others` lies among the next `missing`.
    place = outlier.logical_not().cumsum(dim=1) - 1
    before, after = (((p * missing + others // 2) // others) for p in (place, place + 1))
    return outlier | (outlier.logical_not() & (after > before))
