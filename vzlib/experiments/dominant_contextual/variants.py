"""VisionZip with its choices as parameters, and what each choice is compared with."""

from functools import partial
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from vzlib.evaluation.evaluate import Way
from vzlib.models.load import Loaded
from vzlib.models.tower_parts import depth_of
from vzlib.models.towers import encode, received_by_layer
from vzlib.tokens import Budget, merge_contextual, select_dominant
from vzlib.tokens.evidence import Encoded
from vzlib.tokens.merging import MergeRule, Similarity, Spacing, take_tokens

# Parts of the budget that contextual tokens get; the paper's 10 of 64 is measured anyway.
SHARES = {"none": 0.0, "8 %": 5 / 64, "25 %": 1 / 4, "50 %": 1 / 2, "75 %": 3 / 4, "all but one": 1}


class EncodedByLayer(Encoded):
    """What `encode` gives, with `received` [B, L, S], the attention received in every block."""

    received: Tensor


def encode_by_layer(tower: nn.Module, pixels: Tensor, *, layer: int) -> EncodedByLayer:
    """As `encode`; a second pass through the tower rates the tokens in every block."""
    found = EncodedByLayer(*encode(tower, pixels, layer=layer))
    found.received = received_by_layer(tower, pixels)
    return found


class Variant(NamedTuple):
    """VisionZip with every choice named; the defaults are those of the released code.

    dominant, contextual: tokens; CLS is among the dominant ones if it stays.
    compared: what says where a leftover goes: keys or hidden states; "nothing" keeps the targets as
        they are and drops all other leftovers.
    similarity, spacing: as for `merge_contextual`.
    cls: whether the CLS token, where there is one, stays. It rates the patches in any case.
    layer: the block, from 1, whose attention selects; None for that of the layer that is read.
    """

    dominant: int
    contextual: int
    merge: MergeRule = "code"
    compared: Literal["keys", "hidden", "nothing"] = "keys"
    similarity: Similarity = "cosine"
    spacing: Spacing = "stride"
    cls: bool = True
    layer: int | None = None

    def way(self, name: str, has_cls: bool) -> Way:
        """This variant for `evaluate`, looking by `encode_by_layer` if it names a layer."""
        return Way(name, partial(reduce, self, has_cls))


def reduce(variant: Variant, has_cls: bool, encoded: Encoded, seed: int = 0) -> Tensor:
    """Tokens `[B, dominant + contextual, D]`; nothing is drawn, so `seed` has no part.

    has_cls: whether token 0 of `encoded` is a CLS token.
    Raises BudgetError for more tokens than there are.
    """
    hidden, scores, keys = encoded
    if variant.layer is not None:
        scores = cast(EncodedByLayer, encoded).received[:, variant.layer - 1]
    if has_cls and not variant.cls:
        hidden, scores, keys = hidden[:, 1:], scores[:, 1:], keys[:, 1:]
    kept = select_dominant(scores, variant.dominant, cls=has_cls and variant.cls)
    contextual, targets, _ = merge_contextual(
        hidden,
        hidden if variant.compared == "hidden" else keys,
        kept,
        variant.contextual,
        variant.merge,
        similarity=variant.similarity,
        spacing=variant.spacing,
    )
    if variant.compared == "nothing":
        contextual = take_tokens(hidden, targets)
    return torch.cat([take_tokens(hidden, kept), contextual], dim=1)


def choices(loaded: Loaded, factor: str, total: int) -> dict[str, Variant]:
    """What is measured for a factor of `dominant_contextual.FACTORS` at `total` tokens, by name.

    All but "released", "split, paper rule" and "all tokens" differ from the released method in this
    factor alone. Without a CLS token there is nothing to choose about it.
    """
    tower, cls = loaded.tower, loaded.has_cls
    read = depth_of(tower, loaded.layer)
    budget = Budget.retain(total, has_cls=cls)
    released = Variant(budget.dominant, budget.contextual)
    change = released._replace
    split = {}
    for name, share in SHARES.items():
        contextual = min(round(share * total), total - 1)
        split[name] = change(dominant=total - contextual, contextual=contextual)
    layers = range(1, tower.config.num_hidden_layers + 1)
    return {
        "all tokens": {"all tokens": Variant(loaded.patches, 0, cls=False)},
        "released": {"released": released},
        "split": split,
        "split, paper rule": {
            name: one._replace(merge="paper") for name, one in split.items() if one.contextual
        },
        "merge rule": {"mean of the group": change(merge="paper")},
        "compared": {"hidden states": change(compared="hidden")},
        "similarity": {"dot product": change(similarity="dot")},
        "leftovers": {
            "not merged": change(compared="nothing"),
            "no contextual tokens": change(contextual=0),
        },
        "targets": {"evenly spread": change(spacing="even")},
        "CLS": {"left out": change(cls=False)} if cls else {},
        "layer": {f"layer {one}": change(layer=one) for one in layers if one != read},
    }[factor]
