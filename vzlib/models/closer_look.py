"""One pass of a tower for all that any method asks of it."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vzlib.models.tower_parts import blocks_of, depth_of, depths_beside, has_cls
from vzlib.models.tower_pass import Told, run
from vzlib.models.towers import without_registers
from vzlib.tokens import received_attention
from vzlib.tokens.evidence import Encoded


class Seen(NamedTuple):
    """What a tower tells of images.

    hidden, scores, keys: as of `Encoded`. received: [B, L, S] attention received in every block,
    counted as the scores are. received_from_all: the same from all tokens, CLS or not.
    """

    hidden: Tensor
    scores: Tensor
    keys: Tensor
    received: Tensor
    received_from_all: Tensor

    @property
    def encoded(self) -> Encoded:
        return Encoded(self.hidden, self.scores, self.keys)


def look_closely(
    tower: nn.Module, *inputs: Tensor, layer: int = -2, beside: Sequence[int] = ()
) -> Seen:
    """What `encode` and `received_by_layer` tell, by CLS and by all tokens, in one pass.

    Every block runs, and the mean over all queries is taken in each, which costs some 40 % more
    than `encode` alone. No attention map is stored. Arguments and errors as of `encode`.
    """
    depth, blocks = depth_of(tower, layer), range(len(blocks_of(tower)))
    depths = depths_beside(tower, layer, beside)
    by_cls: dict[int, Tensor] = {}
    by_all: dict[int, Tensor] = {}
    keys_read: list[Tensor] = []

    def tell(index: int, queries: Tensor, keys: Tensor, scale: float) -> None:
        by_all[index] = received_attention(queries, keys, scale)
        if has_cls(tower):
            by_cls[index] = received_attention(queries[:, :, :1], keys, scale)
        if index == depth - 1:
            keys_read.append(keys.mean(1))

    told: dict[int, Told] = {index: partial(tell, index) for index in blocks}
    hidden, _ = run(
        tower,
        inputs,
        None,
        depth=depth,
        told=told,
        first_only=False,
        beside=depths,
        output_hidden_states=True,
    )
    from_all = torch.stack([by_all[index] for index in blocks], dim=1)
    received = torch.stack([by_cls[index] for index in blocks], dim=1) if by_cls else from_all
    hidden, keys = (without_registers(tower, part, dim=1) for part in (hidden, keys_read[0]))
    received, from_all = (without_registers(tower, part, dim=2) for part in (received, from_all))
    return Seen(hidden, received[:, depth - 1], keys, received, from_all)
