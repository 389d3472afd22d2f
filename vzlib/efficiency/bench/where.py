"""Where the time of tower + zip goes: by part, then by operator."""

import os

import torch

from vzlib.efficiency.bench.scale import Scale
from vzlib.efficiency.device import synchronize
from vzlib.efficiency.geometry import build
from vzlib.models.towers import encode
from vzlib.tokens import select_and_merge

TOP = 14  # operators


@torch.no_grad()
def profile(scale: Scale, device: torch.device, dtype: torch.dtype) -> str:
    """A table of the parts of one image's tower + zip and of its operators, as text.

    Profiling slows what it looks at: shares count here, not times.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    tower = build(scale.clip, device, dtype)
    side = tower.config.image_size
    pixels = torch.randn(1, 3, side, side, device=device, dtype=dtype)
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    select_and_merge(*encode(tower, pixels), scale.budget)
    with torch.profiler.profile(activities=activities) as found:
        with torch.profiler.record_function("part: tower with its evidence"):
            evidence = encode(tower, pixels)
            synchronize(device)
        with torch.profiler.record_function("part: select + merge"):
            select_and_merge(*evidence, scale.budget)
            synchronize(device)
    averages = found.key_averages()
    parts = {
        event.key.removeprefix("part: "): event.cpu_time_total
        for event in averages
        if event.key.startswith("part: ") and event.cpu_time_total
    }
    whole = sum(parts.values())
    lines = [f"{name}: {100 * taken / whole:.2f} %" for name, taken in parts.items()]
    order = f"self_{device.type}_time_total"
    operators = averages.table(sort_by=order, row_limit=TOP, max_name_column_width=48)
    return "\n".join([f"{scale.clip}, one image, {dtype}:", *lines, operators])
