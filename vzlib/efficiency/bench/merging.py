"""Selection and merging alone, from the same features, scores and keys."""

from functools import partial

import torch

from vzlib.efficiency import usual_way
from vzlib.efficiency.bench.row import Bar, Row, not_measured, ratio
from vzlib.efficiency.bench.scale import Scale
from vzlib.efficiency.timing import single
from vzlib.tokens import select_and_merge

GROUP = "select_and_merge"
GPU = Bar(at_least=5)
CPU = {1: Bar(at_least=8), 8: Bar(at_least=20), 32: Bar(at_least=20)}


@torch.no_grad()
def rows(scale: Scale, device: torch.device, dtype: torch.dtype) -> list[Row]:
    """The usual way over ours, for every batch size, in fp32 and bf16."""
    del dtype  # both are measured
    found = []
    for precision in (torch.float32, torch.bfloat16):
        name = str(precision).removeprefix("torch.")
        for batch in scale.merge_batches:
            shape = (batch, scale.tokens)
            hidden = torch.randn(*shape, scale.width, device=device, dtype=precision)
            keys = torch.randn(*shape, scale.key_width, device=device, dtype=precision)
            scores = torch.rand(*shape, device=device)
            given = (hidden, scores, keys, scale.budget)
            calls = max(1, scale.merge_calls // batch)
            variants = {
                "usual": single(partial(usual_way.select_and_merge, *given), calls),
                "ours": single(partial(select_and_merge, *given), calls),
            }
            what = f"usual ÷ ours, {scale.budget.total} of {scale.tokens}, B = {batch}, {name}"
            bar = GPU if device.type == "cuda" else CPU.get(batch)
            times = scale.measure(variants, device, what)
            found.append(ratio(GROUP, what, times, "usual", "ours", bar, calls=calls))
    if device.type != "cuda":
        found.append(not_measured(GROUP, "usual ÷ ours on a GPU", GPU))
    return found
