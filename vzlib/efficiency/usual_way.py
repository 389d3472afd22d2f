"""The way it is usually done: what users of the released code run, as a path to compare with.

Written anew from a description of that code (Sec. 2.2 and 2.3; its released form): the tower runs
with eager attention, keeps the attention map and the hidden states of every layer and runs every
layer; tokens are chosen and merged by sorting, masks and one-hot vectors, which copy the leftovers
and, on a GPU, wait for the device where a mask says how many tokens there are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from vzlib.models.tower_parts import depth_of, has_cls
from vzlib.tokens import Budget
from vzlib.tokens.evidence import Encoded


class Kept(NamedTuple):
    """What a stock tower hands out with all attentions and hidden states, and the layer's own.

    output: of the tower, which holds every map and every layer for as long as it lives.
    layer: hidden states, scores and keys of the layer that is read.
    """

    output: Any
    layer: Encoded


@torch.no_grad()
def encode(tower: Any, pixels: Tensor, layer: int = -2) -> Kept:
    """All that a stock tower can tell of images [B, 3, H, W], and the evidence of one layer.

    Scores are the CLS row of the layer's map, summed over heads; without CLS the map is averaged
    over heads, then over queries (Algorithms 1 and 3). Raises ValueError as `depth_of`.
    """
    depth = depth_of(tower, layer)
    attention = tower.encoder.layers[depth - 1].self_attn
    with _eager(tower), _recorded(attention.k_proj) as projected:
        output = tower(pixels, output_attentions=True, output_hidden_states=True, return_dict=True)
    weights = output.attentions[depth - 1]
    scores = weights[:, :, 0].sum(dim=1) if has_cls(tower) else weights.mean(dim=1).mean(dim=1)
    keys = projected[0].unflatten(-1, (-1, attention.head_dim)).mean(dim=2)
    return Kept(output, Encoded(output.hidden_states[depth], scores, keys))


@torch.no_grad()
def select_and_merge(
    hidden: Tensor, scores: Tensor, keys: Tensor, budget: Budget
) -> tuple[Tensor, Tensor]:
    """Tokens [B, dominant + contextual, D] and the indices [B, dominant] of the dominant ones.

    Arguments as of `vzlib.select_and_merge`, whose rule "code" this is.
    """
    batch, tokens, width = hidden.shape
    top = scores[:, int(budget.cls) :].topk(budget.patches, dim=1).indices + int(budget.cls)
    left = torch.ones(batch, tokens, dtype=torch.bool, device=hidden.device).scatter(1, top, False)
    if budget.cls:
        left[:, 0] = False
    kept = (~left).nonzero()[:, 1].view(batch, -1)
    dominant = hidden.masked_select(~left.unsqueeze(-1)).view(batch, budget.dominant, width)
    if budget.contextual == 0:
        return dominant, kept
    rest = hidden.masked_select(left.unsqueeze(-1)).view(batch, -1, width)
    rest_keys = normalize(keys[left].view(batch, -1, keys.shape[2]), dim=-1)

    count = rest.shape[1]
    step = max(1, count // budget.contextual)
    targets = torch.arange(0, count, step, device=hidden.device)[: budget.contextual]
    others = torch.ones(count, dtype=torch.bool, device=hidden.device)
    others[targets] = False
    similarity = rest_keys[:, others] @ rest_keys[:, targets].transpose(1, 2)
    member = one_hot(similarity.argmax(dim=2), budget.contextual).to(hidden.dtype)
    merged = member.transpose(1, 2) @ rest[:, others]
    sizes = member.sum(dim=1).clamp(min=1).unsqueeze(-1)
    return torch.cat([dominant, rest[:, targets] + merged / sizes], dim=1), kept


@contextmanager
def _eager(tower: Any) -> Iterator[None]:
    before = tower.config._attn_implementation
    tower.config._attn_implementation = "eager"  # read by every block at every call
    try:
        yield
    finally:
        tower.config._attn_implementation = before


@contextmanager
def _recorded(module: torch.nn.Module) -> Iterator[list[Tensor]]:
    """What the module gives while inside."""
    given: list[Tensor] = []
    hook = module.register_forward_hook(lambda _module, _inputs, output: given.append(output))
    try:
        yield given
    finally:
        hook.remove()
