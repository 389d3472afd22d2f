"""One pass through a vision transformer up to the layer that is read, with that layer's evidence.

The blocks are the stock ones of transformers and nothing is patched: the loop below runs the blocks
that are needed, then recomputes the norm, the keys and the rating queries of the last block it ran
(0.3 % of the tower's work). No attention map is stored, whatever attention implementation is used.

Two facts of transformers 5 matter here. `hidden_states[0]` is the input of the first block, so
`hidden_states[i]` is the output of block i - 1 and belongs to the attention of that block. And the
hooks that capture outputs stay on the blocks once a stock forward installed them; they cannot be
traced by `torch.compile` unless a collector is active, hence `capture_outputs` around the loops.

Registers (DINOv2 with registers) are neither the CLS token nor patches. They take part in
attention, but they are left out of everything returned here, so that index 0 is the CLS token and
index i > 0 is patch i - 1 for every encoder with CLS, and none can be selected as if a patch.
Scores are not renormalised: what is missing to a sum of one is what the registers received.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.masking_utils import create_bidirectional_mask
from transformers.utils.output_capturing import capture_outputs

from vzlib.models.tower_parts import blocks_of, depth_of, family_of, has_cls
from vzlib.tokens import received_attention
from vzlib.tokens.evidence import Encoded


def encode(
    tower: nn.Module,
    *inputs: Tensor,
    layer: int = -2,
    cls: bool | None = None,
    valid: Tensor | None = None,
) -> Encoded:
    """`hidden_states[layer]` of a tower with the attention each token received in its block.

    Sections 3.1 and 3.2 of the paper: scores are the CLS token's attention where there is a CLS
    token, else the mean over all queries; keys are those that contextual merging compares.

    tower: CLIP, SigLIP, SigLIP 2 or DINOv2 (with or without registers) as transformers ships them.
    inputs: what the tower's embeddings take: pixel_values [B, 3, H, W]; for SigLIP 2 pixel_values
        [B, S, P] and spatial_shapes [B, 2].
    layer: index into the stock `hidden_states`, 1 ... n or -n ... -1; blocks behind it do not run.
    cls: rate by the CLS token's row (True), by the mean over all queries (False), or by CLS if the
        tower has one (None).
    valid: [B, S] bool or 0/1, False for padding (SigLIP 2's pixel_attention_mask).

    Raises ValueError for an unknown tower, for a layer without attention and for cls=True on a
    tower without CLS.
    """
    depth, by_cls = depth_of(tower, layer), _rates_by_cls(tower, cls)
    return _encode(tower, *inputs, depth=depth, by_cls=by_cls, valid=valid, **_CAPTURE_NOTHING)


def received_by_layer(
    tower: nn.Module, *inputs: Tensor, cls: bool | None = None, valid: Tensor | None = None
) -> Tensor:
    """Attention every token received in every block, [B, L, S] fp32, in one pass.

    Entry l belongs to block l, that is to `hidden_states[l + 1]`; arguments as for `encode`. A few
    rows of one map are the most that is ever in memory.
    """
    by_cls = _rates_by_cls(tower, cls)
    return _received_by_layer(tower, *inputs, by_cls=by_cls, valid=valid, **_CAPTURE_NOTHING)


def attention_rows(
    tower: nn.Module,
    *inputs: Tensor,
    layer: int = -2,
    queries: Tensor | list[int],
    valid: Tensor | None = None,
) -> Tensor:
    """Attention from chosen tokens to all tokens in one block, mean over heads, [B, Q, S] fp32.

    layer: as for `encode`. queries: Q token indices, [Q] or [B, Q] with one choice per image; they
    index what `encode` returns (0 is CLS where there is one).

    Raises ValueError for a query index outside of the tokens.
    """
    depth = depth_of(tower, layer)
    chosen = torch.as_tensor(queries)
    return _attention_rows(
        tower, *inputs, depth=depth, queries=chosen, valid=valid, **_CAPTURE_NOTHING
    )


# `capture_outputs` would otherwise follow the tower's config, which may ask for all attention maps.
_CAPTURE_NOTHING: dict[str, Any] = {
    "output_hidden_states": False,
    "output_attentions": False,
    "return_dict": True,
}


@capture_outputs
def _encode(
    tower: nn.Module,
    *inputs: Tensor,
    depth: int,
    by_cls: bool,
    valid: Tensor | None,
    **_: Any,
) -> Encoded:
    hidden, mask, valid = _embed(tower, inputs, valid)
    *before, block = blocks_of(tower)[:depth]
    for earlier in before:
        hidden = earlier(hidden, mask)
    queries, keys, scale = _queries_and_keys(tower, block, hidden, first_only=by_cls)
    scores = received_attention(queries, keys, scale, valid=valid)
    hidden = block(hidden, mask)
    return Encoded(
        *(_drop_registers(tower, part, dim=1) for part in (hidden, scores, keys.mean(1)))
    )


@capture_outputs
def _received_by_layer(
    tower: nn.Module, *inputs: Tensor, by_cls: bool, valid: Tensor | None, **_: Any
) -> Tensor:
    hidden, mask, valid = _embed(tower, inputs, valid)
    blocks, layers = blocks_of(tower), []
    for index, block in enumerate(blocks):
        queries, keys, scale = _queries_and_keys(tower, block, hidden, first_only=by_cls)
        layers.append(received_attention(queries, keys, scale, valid=valid))
        if index + 1 < len(blocks):  # the last block's output rates nothing
            hidden = block(hidden, mask)
    return _drop_registers(tower, torch.stack(layers, dim=1), dim=2)


@capture_outputs
def _attention_rows(
    tower: nn.Module,
    *inputs: Tensor,
    depth: int,
    queries: Tensor,
    valid: Tensor | None,
    **_: Any,
) -> Tensor:
    hidden, mask, valid = _embed(tower, inputs, valid)
    batch, tokens = hidden.shape[0], hidden.shape[1] - _registers(tower)
    flat = queries.flatten().tolist()
    if queries.ndim not in (1, 2) or not flat or min(flat) < 0 or max(flat) >= tokens:
        raise ValueError(
            f"queries must be indices 0 to {tokens - 1}, [Q] or [B, Q], not {queries.tolist()}"
        )
    *before, block = blocks_of(tower)[:depth]
    for earlier in before:
        hidden = earlier(hidden, mask)
    every_query, keys, scale = _queries_and_keys(tower, block, hidden, first_only=False)
    index = torch.where(queries > 0, queries + _registers(tower), queries).to(hidden.device)
    index = index.expand(batch, -1)[:, None, :, None].expand(-1, keys.shape[1], -1, keys.shape[-1])
    logits = every_query.gather(2, index) @ keys.transpose(-1, -2) * scale
    if valid is not None:
        logits = logits.masked_fill(~valid[:, None, None], float("-inf"))
    rows = logits.softmax(-1, dtype=torch.float32).mean(1)
    return _drop_registers(tower, rows, dim=2)


def _rates_by_cls(tower: nn.Module, cls: bool | None) -> bool:
    if cls and not has_cls(tower):
        raise ValueError(
            f"cls=True, but {type(tower).__name__} has no CLS token; use cls=False (mean over all "
            "queries)"
        )
    return has_cls(tower) if cls is None else cls


def _embed(
    tower: Any, inputs: tuple[Tensor, ...], valid: Tensor | None
) -> tuple[Tensor, Any, Tensor | None]:
    """First block's input [B, S, D], the mask its attention wants, `valid` as bool."""
    # SigLIP's patches come transposed out of the convolution, and without a CLS token to join them
    # to, every norm of every block would copy them into order again.
    hidden = tower.embeddings(*inputs).contiguous()
    if hasattr(tower, "pre_layrnorm"):  # CLIP only, and so spelt
        hidden = tower.pre_layrnorm(hidden)
    if valid is None:
        return hidden, None, None
    mask = create_bidirectional_mask(
        config=tower.config, inputs_embeds=hidden, attention_mask=valid
    )
    return hidden, mask, valid.bool()


def _queries_and_keys(
    tower: nn.Module, block: nn.Module, hidden: Tensor, first_only: bool
) -> tuple[Tensor, Tensor, float]:
    """Queries [B, H, Q, d] (of the first token only: Q = 1), keys [B, H, S, d] and their scale."""
    family = family_of(tower)
    attention: Any = getattr(block, family.attention)
    normed = getattr(block, family.norm)(hidden)

    def by_head(tensor: Tensor) -> Tensor:
        return tensor.unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)

    queries = by_head(attention.q_proj(normed[:, :1] if first_only else normed))
    return queries, by_head(attention.k_proj(normed)), attention.head_dim**-0.5


def _registers(tower: Any) -> int:
    return getattr(tower.config, "num_register_tokens", 0)


def _drop_registers(tower: nn.Module, tensor: Tensor, dim: int) -> Tensor:
    """Without the register tokens, which sit between CLS and the patches."""
    count = _registers(tower)
    if count == 0:
        return tensor
    patches = tensor.shape[dim] - 1 - count
    return torch.cat([tensor.narrow(dim, 0, 1), tensor.narrow(dim, 1 + count, patches)], dim)
