"""A training of dino-llava: where it starts, what it has reached, and where things are."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Dinov2Model, LlavaForConditionalGeneration

from vzlib.embedded.dino.architecture import (
    build_llava,
    grow,
    take_language_model,
)
from vzlib.embedded.dino.decks import ASKED
from vzlib.embedded.dino.features import Features
from vzlib.embedded.dino.language import StandardisedProjector
from vzlib.embedded.dino.tower import config, convert
from vzlib.models.device import device_named
from vzlib.paths import CHECKPOINTS
from vzlib.scenes import things
from vzlib.training.card import CURVE
from vzlib.training.loop import working_dtype

PICO = CHECKPOINTS / "pico-llava"
WINDOW = 12  # patches a side of the images that the language loss starts with


@dataclass
class Run:
    """What every stage needs: the model in training, its projector, and where things are."""

    folder: Path
    features: Path
    seed: int
    device: str
    model: Any
    projector: StandardisedProjector
    shipped: bool = False  # whether it starts as a checkpoint left it

    @property
    def dtype(self) -> torch.dtype:
        return working_dtype(self.device)

    @property
    def tower(self) -> Dinov2Model:
        return self.model.model.vision_tower

    def load(self, stage: str) -> None:
        """Takes the weights with which a stage ended, or where it is now; grows if they have."""
        state = self.state(stage)
        if "language_model" in state:
            self.grow(sum("input_layernorm" in name for name in state["language_model"]))
        alone = stage in ("distil", "align")
        modules = {"projector": self.projector} if alone else self.trained
        for name, module in modules.items():
            module.load_state_dict(state[name])

    def state(self, stage: str) -> dict[str, dict[str, Tensor]]:
        """The weights of every module with which a stage ended."""
        path = self.folder / f"{stage}.pt"
        return torch.load(path, weights_only=True, map_location=self.device)["modules"]

    def grow(self, layers: int) -> None:
        """Gives the language model as many layers, none of which changes what it computes."""
        if layers != self.model.config.text_config.num_hidden_layers:
            self.take(grow(self.model, layers))

    def take(self, model: LlavaForConditionalGeneration) -> None:
        """Goes on with another model, on the same tower."""
        other: Any = model
        other.to(self.device)
        other.model.vision_tower = self.tower
        self.model = other
        self.projector.stock = other.model.multi_modal_projector

    @property
    def trained(self) -> dict[str, torch.nn.Module]:
        return {
            "projector": self.projector,
            "language_model": self.model.model.language_model,
            "head": self.model.lm_head,
        }


def tower(folder: Path, onnx_file: Path | None) -> Dinov2Model:
    """The tower, in the float16 in which it ships; converted once.

    Raises:
        ValueError: if it is not converted yet and no ONNX file is given.
    """
    kept = folder / "tower"
    if not kept.is_dir():
        if onnx_file is None:
            raise ValueError(f"no tower in {kept} yet: --onnx must name vit_s_focus.onnx")
        convert(onnx_file).half().save_pretrained(kept)
    return Dinov2Model.from_pretrained(kept, dtype=torch.float32).eval().requires_grad_(False)


def start(folder: Path, features: Path, seed: int, onnx_file: Path | None) -> Run:
    """The model before any training: DINOv2, a random projector, pico's language model."""
    torch.manual_seed(seed)
    eye = tower(folder, onnx_file)
    pico: Any = LlavaForConditionalGeneration.from_pretrained(PICO, dtype=torch.float32)
    model: Any = build_llava(pico.config.text_config, config(), things.vocabulary())
    take_language_model(model, pico)
    model.model.vision_tower = eye
    eye.set_attn_implementation("sdpa")
    device = device_named("auto")
    model.to(device)
    projector = StandardisedProjector(model.model.multi_modal_projector).to(device)
    return Run(folder, features, seed, device, model, projector)


@torch.no_grad()
def start_from(checkpoint: Path, folder: Path, features: Path, seed: int) -> Run:
    """The model as it ships, to be trained on; its projector standardised anew.

    The curves of its training stay in `folder`, where the card finds what went before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / CURVE).exists():
        shutil.copy(checkpoint / CURVE, folder)
    torch.manual_seed(seed)
    model: Any = LlavaForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
    model.model.vision_tower.eval().requires_grad_(False)
    device = device_named("auto")
    model.to(device)
    projector = StandardisedProjector(model.model.multi_modal_projector).to(device)
    run = Run(folder, features, seed, device, model, projector, shipped=True)
    seen = [
        Features(run.tower, features, deck, grid=WINDOW, seed=seed)(range(32)).flatten(0, 1)
        for deck in ASKED
    ]
    projector.standardise(torch.cat(seen).to(device))
    return run


def reached(stage: str, folder: Path, features: Path, checkpoint: Path) -> Run:
    """The model as a stage in `folder` left it, or has it now.

    checkpoint: any with the same tower, if the training went on from one.
    """
    if (folder / CURVE).is_file():
        run = start_from(checkpoint, folder, features, 0)
    else:
        run = start(folder, features, 0, None)
    run.load(stage)
    return run
