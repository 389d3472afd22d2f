"""What a vision transformer tells of its tokens: features of a layer, and who attends to whom.

Registers (DINOv2 with registers) are neither the CLS token nor patches. They take part in
attention, but they are left out of everything returned here, so that index 0 is the CLS token and
index i > 0 is patch i - 1 for every encoder with CLS, and none can be selected as if a patch.
Scores are not renormalised: what is missing to a sum of one is what the registers received.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from vzlib.models.tower_parts import blocks_of, depth_of, depths_beside, has_cls
from vzlib.models.tower_pass import run
from vzlib.tokens import received_attention
from vzlib.tokens.evidence import Encoded


def encode(
    tower: nn.Module,
    *inputs: Tensor,
    layer: int = -2,
    cls: bool | None = None,
    valid: Tensor | None = None,
    beside: Sequence[int] = (),
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
    beside: layers before `layer` whose features are read too, side by side and `layer` last, as
        LLaVA does with a list of layers: tokens are [B, S, F * D]. They do not rate.

    Raises ValueError for an unknown tower, for a layer without attention and for cls=True on a
    tower without CLS.
    """
    return encode_as_asked(tower, *inputs, layer=layer, cls=cls, valid=valid, beside=beside)[0]


def encode_as_asked(
    tower: nn.Module,
    *inputs: Tensor,
    layer: int = -2,
    cls: bool | None = None,
    valid: Tensor | None = None,
    beside: Sequence[int] = (),
    **options: Any,
) -> tuple[Encoded, Any]:
    """As `encode`, with what the tower itself returns under these options of its `forward`.

    Where they ask for hidden states or attentions every block runs.
    """
    depths = depths_beside(tower, layer, beside)
    by_cls = _rates_by_cls(tower, cls)
    look = _look(tower, inputs, valid, layer, first_only=by_cls, beside=depths, **options)
    (hidden, output), (queries, keys, scale) = look
    valid = None if valid is None else valid.bool()
    scores = received_attention(queries, keys, scale, valid=valid)
    parts = (without_registers(tower, part, dim=1) for part in (hidden, scores, keys.mean(1)))
    return Encoded(*parts), output


def received_by_layer(
    tower: nn.Module, *inputs: Tensor, cls: bool | None = None, valid: Tensor | None = None
) -> Tensor:
    """Attention every token received in every block, [B, L, S] fp32, in one pass.

    Entry l belongs to block l, that is to `hidden_states[l + 1]`; arguments as for `encode`. A few
    rows of one map are the most that is ever in memory.
    """
    valid = None if valid is None else valid.bool()
    layers: dict[int, Tensor] = {}

    def tell(index: int, queries: Tensor, keys: Tensor, scale: float) -> None:
        layers[index] = received_attention(queries, keys, scale, valid=valid)

    blocks = range(len(blocks_of(tower)))
    run(
        tower,
        inputs,
        valid,
        depth=len(blocks),
        told={index: partial(tell, index) for index in blocks},
        first_only=_rates_by_cls(tower, cls),
    )
    return without_registers(tower, torch.stack([layers[index] for index in blocks], dim=1), dim=2)


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
    _, (every_query, keys, scale) = _look(tower, inputs, valid, layer, first_only=False)
    chosen = _indices(queries, len(keys), keys.shape[2] - _registers(tower))
    index = torch.where(chosen > 0, chosen + _registers(tower), chosen).to(keys.device)
    index = index.expand(len(keys), -1)[:, None, :, None]
    index = index.expand(-1, keys.shape[1], -1, keys.shape[-1])
    logits = every_query.gather(2, index) @ keys.transpose(-1, -2) * scale
    if valid is not None:
        logits = logits.masked_fill(~valid.bool()[:, None, None], float("-inf"))
    rows = logits.softmax(-1, dtype=torch.float32).mean(1)
    return without_registers(tower, rows, dim=2)


def _indices(queries: Any, batch: int, tokens: int) -> Tensor:
    """Query indices as a tensor, [Q] or [B, Q]. Raises ValueError if they are none."""
    try:
        chosen = torch.as_tensor(queries)
        flat = chosen.flatten().tolist()
        fit = chosen.ndim == 1 or (chosen.ndim == 2 and len(chosen) in (1, batch))
    except (TypeError, RuntimeError, ValueError):
        fit, flat = False, []
    whole = all(type(each) is int for each in flat)
    if not (fit and flat and whole and min(flat) >= 0 and max(flat) < tokens):
        said = queries.tolist() if isinstance(queries, Tensor) else queries
        raise ValueError(
            f"queries must be indices 0 to {tokens - 1}, [Q] or [{batch}, Q], not {said!r}"
        )
    return chosen


def _look(
    tower: nn.Module,
    inputs: tuple[Tensor, ...],
    valid: Tensor | None,
    layer: int,
    *,
    first_only: bool,
    **options: Any,
) -> tuple[tuple[Tensor, Any], tuple[Tensor, Tensor, float]]:
    """What `tower_pass.run` gives for one layer, and what it tells of that layer's block."""
    depth = depth_of(tower, layer)
    seen: list[tuple[Tensor, Tensor, float]] = []
    told = {depth - 1: lambda *evidence: seen.append(evidence)}
    given = run(tower, inputs, valid, depth=depth, told=told, first_only=first_only, **options)
    return given, seen[-1]


def _rates_by_cls(tower: nn.Module, cls: bool | None) -> bool:
    if cls and not has_cls(tower):
        raise ValueError(
            f"cls=True, but {type(tower).__name__} has no CLS token; use cls=False (mean over all "
            "queries)"
        )
    return has_cls(tower) if cls is None else cls


def _registers(tower: Any) -> int:
    return getattr(tower.config, "num_register_tokens", 0)


def without_registers(tower: nn.Module, tensor: Tensor, dim: int) -> Tensor:
    """Without the register tokens, which sit between CLS and the patches."""
    count = _registers(tower)
    if count == 0:
        return tensor
    patches = tensor.shape[dim] - 1 - count
    return torch.cat([tensor.narrow(dim, 0, 1), tensor.narrow(dim, 1 + count, patches)], dim)
