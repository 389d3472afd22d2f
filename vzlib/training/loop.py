"""A training loop that can be killed at any moment and goes on where it last saved."""

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

SAVE_EVERY, LOG_EVERY = 100, 20


def working_dtype(device: str) -> torch.dtype:
    """bfloat16 where the processor has instructions for it, float32 elsewhere.

    A CPU without them emulates bfloat16, several times slower than float32.
    """
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    instructions = torch.cpu._is_avx512_bf16_supported()
    used = torch.ops.mkldnn._is_mkldnn_bf16_supported()  # oneDNN may be told to do without
    return torch.bfloat16 if instructions and used else torch.float32


def train(
    modules: dict[str, nn.Module],
    loss: Callable[[int], tuple[Tensor, dict[str, float]]],
    *,
    name: str,
    folder: Path,
    steps: int,
    rate: float,
    warmup: int,
    decay: float,
    weight_decay: float = 0.05,
    dtype: torch.dtype = torch.bfloat16,
    save_every: int | None = None,
) -> None:
    """Trains the modules that require gradients for `steps` steps of AdamW.

    `loss(step)` must depend on the step and the weights alone: a run that was killed then gives
    the same weights as one that was not. Warm-up is linear over `warmup` steps, the rate falls
    linearly to zero over the last share `decay` of the steps. Products are taken in `dtype` (see
    `working_dtype`) and the state is saved every `save_every` steps (default:
    `SAVE_EVERY`). Writes `<name>.pt` (state) and
    `<name>.jsonl` (the curve) into `folder`; returns at once if the stage is already complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    saved, curve = folder / f"{name}.pt", folder / f"{name}.jsonl"
    weights = [p for module in modules.values() for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))
    start, seconds, history = 0, 0.0, []
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        for key, module in modules.items():
            module.load_state_dict(state["modules"][key])
        optimizer.load_state_dict(state["optimizer"])
        start, seconds, history = state["step"], state["seconds"], state["history"]
    bar = tqdm(range(start, steps), initial=start, total=steps, desc=name, mininterval=10)
    begun = time.process_time()
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = rate * min(
                1.0, (step + 1) / warmup, (steps - step) / max(1, math.ceil(decay * steps))
            )
        with torch.autocast(weights[0].device.type, dtype, enabled=dtype != torch.float32):
            value, logs = loss(step)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        spent = seconds + time.process_time() - begun
        if step % LOG_EVERY == 0 or step + 1 == steps:
            history.append(
                {"step": step, "cpu_seconds": round(spent), "loss": value.item(), **logs}
            )
            bar.set_postfix({k: f"{v:.2f}" for k, v in history[-1].items() if k not in ("step",)})
        if (step + 1) % (save_every or SAVE_EVERY) == 0 or step + 1 == steps:
            state = {
                "modules": {key: module.state_dict() for key, module in modules.items()},
                "optimizer": optimizer.state_dict(),
                "step": step + 1,
                "seconds": spent,
                "history": history,
            }
            torch.save(state, saved.with_suffix(".tmp"))
            os.replace(saved.with_suffix(".tmp"), saved)
            curve.write_text("".join(json.dumps(row) + "\n" for row in history))
