"""Token merging (ToMe), applied to what the tower gave."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vzlib.methods.before import OfPatches, Patches
from vzlib.methods.method import Count
from vzlib.methods.similarity import cosine
from vzlib.tokens.evidence import Reduced
from vzlib.tokens.merging import take_tokens
from vzlib.tokens.precision import at_least_float32, without_autocast


@dataclass(frozen=True)
class ToMe(OfPatches):
    """Patches merged by similar keys until `retain` are left, each the mean of its patches.

    Published (arXiv 2210.09461, ICLR 2023): in every layer of the tower, bipartite soft matching
    merges r tokens: alternate tokens form two sets, each token of the first is matched with the
    most similar one of the second (cosine of keys, mean over heads), and the r best matches merge
    into means weighted by the number of patches a token stands for; the class token never does.
    Here: the same matching with equal r, in 24 rounds on the output tokens, so that the tower stays
    as it is and every method reads the same features; keys merge as the tokens do, where published
    each layer computes new ones, and attention weighted by size (inside the tower) does not arise.
    More rounds follow if r exceeds half of the tokens. A merged token stands where the token it
    was matched with stood, in raster order. No attention is used, so CLS or not is the same.
    Checked against: small cases worked out by hand; a plain loop over images with weighted means;
    the size-weighted mean of the tokens is that of the patches; patches with equal keys merge
    first; flat regions of uneven size lose far less than by pooling.

    rounds: how often tokens are matched. The default are the layers of CLIP ViT-L, over which the
        published method spreads its merges. Halving instead, in as few rounds as can be, matches
        most tokens with whatever is left: an unfairly weak ToMe.
    """

    rounds: Count = 24

    def reduce_patches(self, patches: Patches, retain: int) -> Reduced:
        hidden = patches.hidden
        places, goes_to = bipartite_groups(patches.keys, retain, self.rounds)
        member = goes_to.unsqueeze(1) == places.unsqueeze(2)  # [B, retain, S]
        weights = member / member.sum(dim=2, keepdim=True)
        with without_autocast(weights):
            tokens = (weights @ at_least_float32(hidden)).to(hidden.dtype)
        return Reduced(
            tokens, places, torch.searchsorted(places.contiguous(), goes_to.contiguous())
        )


def bipartite_groups(keys: Tensor, retain: int, rounds: int) -> tuple[Tensor, Tensor]:
    """Which tokens stay, `[B, retain]` ascending, and the one that each went into, `[B, S]`."""
    keys = at_least_float32(keys)
    batch, count = keys.shape[:2]
    group = place = torch.arange(count, device=keys.device).expand(batch, -1)
    at_once = -(-(count - retain) // rounds)
    while (left := place.shape[1]) > retain:
        merges = min(at_once, left - retain, left // 2)
        keys, place, moved = _merge(keys, place, merges, count)
        group = moved.gather(1, group)
    return place, group


def _merge(keys: Tensor, place: Tensor, merges: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """One round: keys and places of what is left, and the place every place went to, `[B, count]`.

    Keys are sums over a token's patches: their direction is that of the weighted mean.
    """
    first, second = keys[:, ::2], keys[:, 1::2]
    first_place, second_place = place[:, ::2], place[:, 1::2]
    similarity, match = cosine(first, second).max(dim=2)
    ranked = similarity.argsort(dim=1, descending=True, stable=True)
    merged, staying = ranked[:, :merges], ranked[:, merges:]
    target = match.gather(1, merged)

    # A product with zeros and ones, as adding by index has no fixed order on a GPU.
    numbers = torch.arange(second.shape[1], device=keys.device)
    into = (target.unsqueeze(1) == numbers.unsqueeze(1)).to(keys.dtype)  # [B, second, merges]
    with without_autocast(keys):
        second = second + into @ take_tokens(first, merged)

    left = torch.cat([first_place.gather(1, staying), second_place], dim=1)
    keys = torch.cat([take_tokens(first, staying), second], dim=1)
    place, order = left.sort(dim=1)
    moved = torch.arange(count, device=keys.device).expand(len(keys), -1)
    moved = moved.scatter(1, first_place.gather(1, merged), second_place.gather(1, target))
    return take_tokens(keys, order), place, moved
