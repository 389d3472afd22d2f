"""FLOPs as torch counts them, what a prefill cannot do without, and the least time for that."""

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from vzlib.efficiency.timing import Variant

# Dense bf16 matrix products with fp32 sums, FLOP per second, from the makers' data sheets. No
# kernel reaches them; what is faster than this cannot have computed what it says.
PEAK = {"A800": 312e12, "A100": 312e12, "H100": 989e12, "H200": 989e12, "L40S": 362e12}


def _fused_on_cpu(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


# torch counts the fused attention of GPUs only.
COUNTED_TOO = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _fused_on_cpu}


def count(variant: Variant) -> dict[str, int]:
    """FLOPs of the matrix products in each stage of a variant, a multiply and an add as two.

    Causal attention counts as if nothing were masked, as torch counts it.
    """
    found: dict[str, int] = {}
    before = 0
    with FlopCounterMode(display=False, custom_mapping=COUNTED_TOO) as counter:
        for stage in variant():
            total = counter.get_total_flops()
            found[stage] = found.get(stage, 0) + total - before
            before = total
    return found


def prefill(config: Any, tokens: int) -> float:
    """FLOPs that no prefill of so many tokens through a Llama does without.

    Projections, a feed-forward part of three matrices and the unmasked half of causal attention; a
    multiply and an add are two. config: of the model or of its language model.
    """
    text = config.get_text_config()
    width, inner = text.hidden_size, text.intermediate_size
    layer = 4 * tokens * width**2 + 3 * tokens * width * inner + tokens**2 * width
    return 2.0 * text.num_hidden_layers * layer


def floor(flops: float, device: str) -> float | None:
    """Seconds that a device of that name needs at its peak; None for one not in `PEAK`."""
    known = [rate for name, rate in PEAK.items() if name in device]
    return flops / known[0] if known else None
