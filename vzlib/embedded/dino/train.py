"""Trains dino-llava: `python -m vzlib.embedded.dino.train --onnx vit_s_focus.onnx`.

The tower is DINOv2-small as it is, frozen. Stages: pico's visual tokens are distilled into the
projector; the projector is aligned to labels of patches; pico's language model gets layers that
look new words up; projector and language model learn on windows of scenes, and with twelve layers
on whole images. `--checkpoint checkpoints/dino-llava --stage windows` goes on from what ships.
Each can be killed and goes on where it last saved. The same seed on the same kind of machine gives
the same weights.
"""

import argparse
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import Dinov2Model, LlavaForConditionalGeneration

from vzlib.embedded.dino.align import align, known
from vzlib.embedded.dino.architecture import (
    LAYERS,
    build_llava,
    grow,
    take_language_model,
)
from vzlib.embedded.dino.distil import distil, pairs
from vzlib.embedded.dino.features import Features
from vzlib.embedded.dino.labels import NAMES, label_heads
from vzlib.embedded.dino.language import StandardisedProjector, Visits, language_loss
from vzlib.embedded.dino.lookup import residuals, with_lookups
from vzlib.embedded.dino.tower import GRID, config, convert
from vzlib.embedded.pico.architecture import build_tokenizer
from vzlib.models.device import device_named
from vzlib.paths import CHECKPOINTS
from vzlib.scenes import things
from vzlib.scenes.things import catalogue
from vzlib.training.card import CURVE
from vzlib.training.loop import train, working_dtype

PICO = CHECKPOINTS / "pico-llava"
WINDOW = 12  # patches a side of the images that the language loss starts with
DISTILLED = {GRID: range(2_000_000, 2_000_096), WINDOW: range(256)}  # scenes by patches a side
ALIGNED = {
    "shapes-sheets": range(1024),
    "things-sheets": range(3072),
}
EACH = {
    "shapes": {
        "existence": 2, "attribute": 2, "counting": 4, "reading": 3, "relation": 4, "half": 1,
    },
    "things": {
        "existence": 4, "which": 3, "attribute": 2, "counting": 4, "reading": 3, "relation": 4,
        "detail": 1, "half": 2,
    },
}  # fmt: skip
# The deck of each step; the second one is harder. LOG_EVERY is no multiple of their number, so that
# the log tells of each.
TURNS = ("shapes", "things", "things")


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
        for deck in EACH
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


def distilling(run: Run, steps: int) -> None:
    pico = LlavaForConditionalGeneration.from_pretrained(PICO, dtype=torch.float32)
    found = [
        pairs(pico, Features(run.tower, run.features, "shapes", grid=grid, seed=run.seed), numbers)
        for grid, numbers in DISTILLED.items()
    ]
    seen, tokens, weights = (torch.cat(parts) for parts in zip(*found, strict=True))
    run.projector.cpu()
    distil(run.projector, seen, tokens, weights, folder=run.folder, steps=steps)
    run.projector.to(run.device)


def aligning(run: Run, steps: int) -> None:
    run.load("distil")
    pico = LlavaForConditionalGeneration.from_pretrained(PICO, dtype=torch.float32)
    found = [
        known(pico, Features(run.tower, run.features, deck, grid=WINDOW, seed=run.seed), numbers)
        for deck, numbers in ALIGNED.items()
    ]
    seen, tokens, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
    run.projector.cpu()
    vocabulary = build_tokenizer(things.vocabulary()).get_vocab()
    spoken = run.model.lm_head.weight.detach().cpu()[[vocabulary[name] for name in NAMES]]
    align(run.projector, seen, tokens, labels, spoken, folder=run.folder, steps=steps)
    run.projector.to(run.device)


def deck_of(step: int) -> tuple[str, int]:
    """The deck of a step, and how many steps were on it before."""
    place = step % len(TURNS)
    deck = TURNS[place]
    return deck, step // len(TURNS) * TURNS.count(deck) + TURNS[:place].count(deck)


def language(
    run: Run, name: str, *, grid: int, visits: Visits, count: int, steps: int, rate: float,
    decay: float,
) -> None:  # fmt: skip
    """Steps on `count` scenes of one deck or the other by `TURNS`."""
    features = {
        deck: Features(run.tower, run.features, deck, grid=grid, seed=run.seed, dtype=run.dtype)
        for deck in EACH
    }
    heads = label_heads(run.model.config.text_config.hidden_size).to(run.device)
    vocabulary = build_tokenizer(things.vocabulary()).get_vocab()

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        deck, turn = deck_of(step)
        numbers, visit = visits.numbers(turn, count)
        value, right = language_loss(
            run.model, run.projector, vocabulary, features[deck], numbers, EACH[deck], visit, heads
        )
        return value, {f"{deck} {task}": share for task, share in right.items()}

    modules = run.trained | {"heads": heads}  # the heads are thrown away in the end
    train(modules, loss, name=name, folder=run.folder, steps=steps, rate=rate, warmup=100,
          decay=decay, dtype=run.dtype, save_every=40)  # fmt: skip


def looking_up(run: Run) -> None:
    """Gives the language model the layers that find what new words mean."""
    heads = run.state("align")["heads"]
    vocabulary = build_tokenizer(things.vocabulary()).get_vocab()
    known = set(build_tokenizer().get_vocab())
    names = {
        vocabulary[name]: F.normalize(direction, dim=0)
        for name, direction in zip(NAMES, heads["name.weight"], strict=True)
        if name not in known
    }
    groups = {
        vocabulary[word]: F.normalize(direction, dim=0)
        for group, direction in zip(catalogue.GROUPS, heads["group.weight"], strict=True)
        for word in (group, things.questions.plural(group))
    }
    features = Features(run.tower, run.features, "things", grid=WINDOW, seed=run.seed)
    left = residuals(run.model, run.projector, vocabulary, features, range(32), EACH["things"])
    run.take(with_lookups(run.model, *left, names, groups))


def on_windows(run: Run, steps: int) -> None:
    if not run.shipped:
        run.load("align")
        looking_up(run)
    language(run, "windows", grid=WINDOW, visits=Visits(512, 1, run.seed), count=8, steps=steps,
             rate=8e-4, decay=0)  # fmt: skip


def on_full_grid(run: Run, steps: int) -> None:
    if not run.shipped or (run.folder / "windows.pt").exists():
        run.load("windows")
    run.grow(LAYERS)
    language(run, "full", grid=GRID, visits=Visits(128, 1, run.seed), count=4, steps=steps,
             rate=6e-4, decay=0.4)  # fmt: skip


STAGES: dict[str, tuple[Callable[[Run, int], None], int]] = {
    "distil": (distilling, 1000),
    "align": (aligning, 2500),
    "windows": (on_windows, 3000),
    "full": (on_full_grid, 4000),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("results/dino"))
    parser.add_argument("--features", type=Path, help="of the tower (default: in the folder)")
    parser.add_argument("--onnx", type=Path, help="vit_s_focus.onnx, for the first start only")
    parser.add_argument("--checkpoint", type=Path, help="go on from this one, by --stage")
    parser.add_argument("--stage", choices=list(STAGES), help="run this one only")
    parser.add_argument("--steps", type=int, help="of that one, instead of its own")
    arguments = parser.parse_args()
    if arguments.steps is not None and arguments.stage is None:
        parser.error("--steps is for one stage; name it by --stage")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    features = arguments.features or arguments.folder / "features"
    if arguments.checkpoint:
        if arguments.stage not in ("windows", "full"):
            parser.error("--checkpoint needs --stage windows or --stage full")
        run = start_from(arguments.checkpoint, arguments.folder, features, arguments.seed)
    else:
        run = start(arguments.folder, features, arguments.seed, arguments.onnx)
    for name, (stage, steps) in STAGES.items():
        if arguments.stage in (None, name):
            stage(run, steps if arguments.steps is None else arguments.steps)


if __name__ == "__main__":
    main()
