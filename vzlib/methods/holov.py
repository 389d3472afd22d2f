"""HoloV: every band of the image has a share of the budget, by the attention it receives."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vzlib.methods.before import Patches, Pruning
from vzlib.methods.coverage import places_of
from vzlib.methods.method import Count
from vzlib.tokens.precision import at_least_float32


@dataclass(frozen=True)
class HoloV(Pruning):
    """The most attended patches of each of 16 bands, as many as the band's attention deserves.

    Published (NeurIPS 2025), as released: the bands are runs of patches in raster order, 1.5 rows
    of 24, and no crops. A band's share of the budget is that of its mean score, rounded down; what
    is left goes one each to the bands with the largest shares. A score is attention plus 0.09 times
    a variance of cosines that is scaled, band by band, to the mean of the attention: so it raises
    all bands alike, decides nothing, and is left out here. Within a band attention alone chooses.
    Here: the same, in raster order. Where a band has fewer patches than its share, released code
    hands on vectors of zeros; here the most attended patches of other bands take their place.
    Without a CLS token, the mean attention received.
    Checked against: a plain loop of the released rule, variance included; a case by hand.

    bands: runs of patches, the first ones longer by one where they do not come out even.
    """

    bands: Count = 16

    def choose(self, patches: Patches, retain: int) -> Tensor:
        attention = at_least_float32(patches.scores)
        count = attention.shape[1]
        bands = min(self.bands, count)
        size, longer = divmod(count, bands)
        sizes = torch.tensor([size + (band < longer) for band in range(bands)])
        of_band = torch.arange(bands).repeat_interleave(sizes).to(attention.device)
        sizes = sizes.to(attention.device)
        member = of_band == torch.arange(bands, device=attention.device).unsqueeze(1)  # [bands, S]

        means = (attention.unsqueeze(1) * member).sum(dim=2) / sizes
        shares = means / means.sum(dim=1, keepdim=True).clamp(min=1e-30)
        quota = (shares * retain).floor()
        left = retain - quota.sum(dim=1, keepdim=True)
        rank = shares.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        quota = quota + (rank < left)

        order = attention.argsort(dim=1, descending=True, stable=True)
        # How many of its own band stand before a patch in the order of attention.
        before = member[:, order].transpose(0, 1).long().cumsum(dim=2)  # [B, bands, S]
        own = of_band[order]
        place = before.gather(1, own.unsqueeze(1)).squeeze(1) - 1
        within = place < quota.gather(1, own)
        first = order.gather(1, within.logical_not().long().argsort(dim=1, stable=True))
        chosen = torch.zeros_like(within).scatter(1, first[:, :retain], True)
        return places_of(chosen, retain)
