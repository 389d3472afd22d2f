"""Scores and similarities are computed in fp32 whatever the model's dtype is."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def at_least_float32(tensor: Tensor) -> Tensor:
    """`tensor` in fp32, or in float64 if it is that already."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def without_autocast(tensor: Tensor) -> AbstractContextManager[None]:
    """Context in which autocast leaves matrix products on the device of `tensor` alone."""
    device = tensor.device.type
    if torch.amp.is_autocast_available(device):  # the meta device has none
        return torch.autocast(device, enabled=False)
    return nullcontext()
