"""On which device a model is loaded and in which numbers; torch is imported only to find out."""

import importlib.metadata
import sys
from typing import Any

from vzlib.models.hub import LoadError

DTYPES = ("float32", "bfloat16", "float16")


def device_named(device: Any = "auto") -> str:
    """The device meant, such as "cpu" or "cuda:1"; "auto" is a CUDA device if there is one.

    Raises LoadError for a device that is not here.
    """
    if isinstance(device, str) and device in ("auto", "cpu"):
        return "cuda" if device == "auto" and _cuda() else "cpu"
    import torch

    if not isinstance(device, str | torch.device):
        raise LoadError(f"device={device!r} is no device; allowed: auto, cpu, cuda, cuda:0")
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise LoadError(
            f"device={str(device)!r} is unknown; allowed: auto, cpu, cuda, cuda:0"
        ) from error
    count = 1 if place.type == "cpu" else 0
    if torch.accelerator.is_available():
        here = torch.accelerator.current_accelerator()
        if here is not None and here.type == place.type:
            count = torch.accelerator.device_count()
    if (place.index or 0) >= count:
        raise LoadError(
            f"device={str(device)!r}, but {count} {place.type} devices are here; allowed: auto, cpu"
        )
    return str(place)


def dtype_named(dtype: Any, device: str) -> str:
    """The dtype meant, such as "bfloat16"; "auto" is float32 on the CPU, else bfloat16.

    Raises LoadError for what is none of these.
    """
    if isinstance(dtype, str) and dtype == "auto":
        return "float32" if device.startswith("cpu") else "bfloat16"
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise LoadError(f"dtype={dtype!r} is unknown; allowed: auto, {', '.join(DTYPES)}")
    return name


def native_dtype(device: str) -> str:
    """bfloat16 where the device has instructions for it, else float32: what computes fastest.

    A CPU without them is several times slower in bfloat16. torch is imported.
    """
    import torch

    fast = not device.startswith("cpu") or torch.cpu._is_avx512_bf16_supported()
    return "bfloat16" if fast else "float32"


def _cuda() -> bool:
    # A wheel for the CPU says so in its version; importing it would take seconds.
    if "torch" not in sys.modules and importlib.metadata.version("torch").endswith("+cpu"):
        return False
    import torch

    return torch.cuda.is_available()
