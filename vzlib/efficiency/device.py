"""The device that is measured, and its name, by which results of different devices stay apart."""

import os
import re

import torch

from vzlib.models.device import device_named, native_dtype
from vzlib.results import provenance


def choose(name: str = "auto") -> torch.device:
    """The device of that name, as `vzlib.models.device.device_named` takes it.

    Raises ValueError for a device that this machine does not have, or that cannot be timed.
    """
    device = torch.device(device_named(name))
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device={name!r} cannot be timed; allowed: auto, cpu, cuda")
    return device


def describe(device: torch.device) -> str:
    """Such as "NVIDIA H200" or "AMD EPYC, 2 cores": what a time belongs to."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{provenance.processor()}, {os.cpu_count()} cores"


def slug(name: str) -> str:
    """The name of a device as part of a file name: "amd-epyc-2-cores"."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype of that name; "auto" is bf16 where the device computes in it, else fp32."""
    return getattr(torch, native_dtype(device.type) if name == "auto" else name)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
