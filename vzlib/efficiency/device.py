"""The device that is measured, and its name, by which results of different devices stay apart."""

import os
import re

import torch

from vzlib.results import provenance


def choose(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is the GPU where there is one, else the CPU.

    Raises ValueError for a device that this machine does not have.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise ValueError(
            f"device {name!r} cannot be timed; allowed: auto, cpu, cuda (of several GPUs the first "
            "in CUDA_VISIBLE_DEVICES)"
        )
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' is not there: torch sees no GPU; allowed: auto, cpu")
    return torch.device(name)


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
    if name != "auto":
        return getattr(torch, name)
    native = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else torch.float32


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
