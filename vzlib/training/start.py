"""Where a language model starts from that is to learn again to read images."""

from typing import Any

import torch
from torch import nn
from transformers import AutoModelForImageTextToText

from vzlib.models.host import host_of


def language_parts(model: Any) -> dict[str, nn.Module]:
    """What LLaVA trains in its last stage: projector, language model and the head on it."""
    core = model.base_model
    return {
        "projector": host_of(model).projector(core),
        "language_model": core.language_model,
        "head": model.lm_head,
    }


@torch.no_grad()
def shrink(model: Any, parts: dict[str, nn.Module], remembered: float, seed: int) -> None:
    """Mix the weights of a language model with fresh ones, `remembered` to the rest.

    Its projector stays. Fresh ones are those with which a model of the same configuration starts,
    by `seed`. Source: Ash and Adams, On Warm-Starting Neural Network Training (NeurIPS 2020), who
    shrink and perturb.
    """
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        fresh: Any = AutoModelForImageTextToText.from_config(model.config)
    others = language_parts(fresh)
    for name, part in parts.items():
        if name != "projector":
            for own, other in zip(part.parameters(), others[name].parameters(), strict=True):
                own.copy_(torch.lerp(other.to(own), own, remembered))
