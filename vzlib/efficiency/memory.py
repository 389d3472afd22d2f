"""Peak memory of a computation, in a pass of its own so that no clock is disturbed."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from vzlib.efficiency.device import synchronize


def peak(function: Callable[[], Any], device: torch.device) -> int:
    """Most bytes at a time that tensors took while `function` ran, beyond those from before.

    On a GPU what torch's allocator counts. On a CPU the sum of all allocations and releases that
    torch's profiler saw; scratch of libraries that allocate for themselves is not in it.
    """
    if device.type == "cuda":
        function()  # what kernels set up at their first use does not count
        synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own talk
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        function()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(path))
        trace = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    changes = sorted(
        (event["ts"], event["args"]["Ev Idx"], event["args"]["Bytes"])
        for event in trace
        if event["name"] == "[memory]" and event["args"]["Device Type"] == 0
    )
    live = highest = 0
    for *_, change in changes:
        live += change
        highest = max(highest, live)
    return highest


def weights(module: torch.nn.Module) -> int:
    """Bytes of a module's parameters and buffers."""
    tensors = [*module.parameters(), *module.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
