"""The projector's start: DINOv2's features as pico's language model knows its visual tokens.

A scene of the first deck has 24 x 24 patches of 8 pixels (a window 12 x 12); at 14 pixels a patch
they lie patch on patch on DINOv2's grid. So each patch gives a pair: what DINOv2 sees, and the
visual token that pico's language model was trained on.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import LlavaForConditionalGeneration

from vzlib import scenes
from vzlib.embedded.dino.features import Features
from vzlib.embedded.dino.language import StandardisedProjector
from vzlib.embedded.pico.architecture import FEATURE_LAYER, VISION, encode_window
from vzlib.embedded.pico.examples import pixels_of
from vzlib.training.loop import train

OBJECT_WEIGHT = 4.0  # of a patch that touches an object; the others are nine times as many
BATCH = 2048  # patches a step


@torch.no_grad()
def pairs(
    pico: LlavaForConditionalGeneration, features: Features, numbers: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Features `[N, D]`, pico's visual tokens `[N, H]` and weights `[N]` of the scenes' patches."""
    seen, tokens, weights = [], [], []
    depth = FEATURE_LAYER % (VISION.num_hidden_layers + 1)
    for number in numbers:
        scene, corner = features.scene(number), features.corners([number])
        states = encode_window(pico.model.vision_tower, pixels_of([scene.image]), corner, depth)
        seen.append(features([number])[0])
        tokens.append(pico.model.multi_modal_projector(states[-1][0, 1:]))
        touched = torch.from_numpy(scene.patches(scenes.PATCH, share=0.0)).flatten()
        weights.append(torch.where(touched, OBJECT_WEIGHT, 1.0))
    return torch.cat(seen), torch.cat(tokens), torch.cat(weights)


def distil(
    projector: StandardisedProjector,
    seen: Tensor,
    tokens: Tensor,
    weights: Tensor,
    *,
    folder: Path,
    steps: int,
) -> None:
    """Fits mean, spread and weights of the projector to `pairs`; the loss is the variance left."""
    projector.mean.copy_(seen.mean(dim=0))
    projector.spread.copy_(seen.std(dim=0))
    centre = (tokens * weights[:, None]).sum(0) / weights.sum()
    variance = ((tokens - centre).pow(2) * weights[:, None]).sum(0) / weights.sum()

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = torch.Generator().manual_seed(step)
        rows = torch.randint(len(seen), (BATCH,), generator=generator)
        error = F.mse_loss(projector(seen[rows]), tokens[rows], reduction="none")
        left = (error * weights[rows, None]).mean() / (variance.mean() * weights.mean())
        return left, {}

    train({"projector": projector}, loss, name="distil", folder=folder, steps=steps, rate=2e-3,
          warmup=50, decay=0.5, weight_decay=0.0, dtype=torch.float32)  # fmt: skip
