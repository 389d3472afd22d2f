"""Trains pico-llava from scratch: `python -m vzlib.embedded.pico.train`.

Five stages: the tower on windows of the full grid, then on the full grid; the projector and the
language model on windows, on the full grid, and there with more questions on where things are.
Each can be killed and goes on where it last saved. The same seed on the same kind of machine gives
the same weights.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import CLIPVisionModel, LlavaForConditionalGeneration

from vzlib.embedded.pico.architecture import (
    GRID,
    WINDOW,
    build_llava,
    build_processor,
    build_tokenizer,
    build_tower,
)
from vzlib.embedded.pico.examples import tower_batch
from vzlib.embedded.pico.language import EVEN, RELATIONS, language_batch, language_loss
from vzlib.embedded.pico.tower import TowerHeads, tower_loss
from vzlib.training.loop import train

LEAST_DENSE = 0.25  # what the weight of the patch labels falls to on the full grid


def _load(module: nn.Module, folder: Path, stage: str, part: str) -> None:
    state = torch.load(folder / f"{stage}.pt", weights_only=True)
    module.load_state_dict(state["modules"][part])


def tower_on_windows(folder: Path, seed: int, steps: int) -> None:
    tower, heads = build_tower(seed), TowerHeads()

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        return tower_loss(tower, heads, tower_batch(step * 32, 32, WINDOW, seed), dense=1.0)

    train({"tower": tower, "heads": heads}, loss, name="tower-window", folder=folder, steps=steps,
          rate=8e-4, warmup=200, decay=0.3)  # fmt: skip


def tower_on_full_grid(folder: Path, seed: int, steps: int) -> None:
    tower, heads = build_tower(seed), TowerHeads()
    _load(tower, folder, "tower-window", "tower")
    _load(heads, folder, "tower-window", "heads")

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        dense = max(LEAST_DENSE, 1 - step / steps)
        return tower_loss(tower, heads, tower_batch(step * 16, 16, GRID, seed), dense)

    train({"tower": tower, "heads": heads}, loss, name="tower", folder=folder, steps=steps,
          rate=3e-4, warmup=50, decay=0.6)  # fmt: skip


def _train_language(
    tower: CLIPVisionModel,
    model: LlavaForConditionalGeneration,
    *,
    name: str,
    folder: Path,
    seed: int,
    steps: int,
    first: int,
    count: int,
    grid: int,
    rate: float,
    decay: float,
    whole: float,
    each: Mapping[str, int],
) -> None:
    tokenizer = build_tokenizer()
    tower.bfloat16().requires_grad_(False)

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        batch = language_batch(tokenizer, first + step * count, count, grid, each, seed)
        return language_loss(tower, model, batch, step, whole)

    modules = {
        "projector": model.model.multi_modal_projector,
        "language_model": model.model.language_model,
        "head": model.lm_head,
    }
    train(modules, loss, name=name, folder=folder, steps=steps, rate=rate, warmup=100, decay=decay)


def _load_language(model: LlavaForConditionalGeneration, folder: Path, stage: str) -> None:
    _load(model.model.multi_modal_projector, folder, stage, "projector")
    _load(model.model.language_model, folder, stage, "language_model")
    _load(model.lm_head, folder, stage, "head")


def language_on_windows(folder: Path, seed: int, steps: int) -> None:
    tower, model = build_tower(seed), build_llava(seed)
    _load(tower, folder, "tower-window", "tower")
    _train_language(tower, model, name="language-window", folder=folder, seed=seed, steps=steps,
                    first=0, count=16, grid=WINDOW, rate=1e-3, decay=0.2, whole=0.7,
                    each=EVEN)  # fmt: skip


def language_on_full_grid(folder: Path, seed: int, steps: int) -> None:
    tower, model = build_tower(seed), build_llava(seed)
    _load(tower, folder, "tower", "tower")
    _load_language(model, folder, "language-window")
    _train_language(tower, model, name="language", folder=folder, seed=seed, steps=steps,
                    first=0, count=8, grid=GRID, rate=7e-4, decay=0, whole=0.9,
                    each=EVEN)  # fmt: skip


def relations_on_full_grid(folder: Path, seed: int, steps: int) -> None:
    tower, model = build_tower(seed), build_llava(seed)
    _load(tower, folder, "tower", "tower")
    _load_language(model, folder, "language")
    _train_language(tower, model, name="relations", folder=folder, seed=seed, steps=steps,
                    first=1_000_000, count=8, grid=GRID, rate=7e-4, decay=0.6, whole=0.9,
                    each=RELATIONS)  # fmt: skip


def export(folder: Path, seed: int, target: Path) -> None:
    """Writes the checkpoint in Hugging Face format, weights in bfloat16."""
    model = build_llava(seed)
    _load(model.model.vision_tower, folder, "tower", "tower")
    _load_language(model, folder, "relations")
    model.bfloat16()
    model.save_pretrained(target)
    build_processor().save_pretrained(target)


# What to run, for how many steps, on how many threads; the last changes how sums are rounded.
STAGES: dict[str, tuple[Callable[[Path, int, int], None], int, int]] = {
    "tower-window": (tower_on_windows, 1600, 1),
    "tower": (tower_on_full_grid, 600, 1),
    "language-window": (language_on_windows, 1800, 1),
    "language": (language_on_full_grid, 500, 2),
    "relations": (relations_on_full_grid, 1300, 2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("results/pico"))
    parser.add_argument("--target", type=Path, default=Path("checkpoints/pico-llava"))
    parser.add_argument("--stage", choices=[*STAGES, "export"], help="run this one only")
    arguments = parser.parse_args()
    for name, (run, steps, threads) in STAGES.items():
        if arguments.stage in (None, name):
            torch.set_num_threads(threads)
            run(arguments.folder, arguments.seed, steps)
    if arguments.stage in (None, "export"):
        export(arguments.folder, arguments.seed, arguments.target)


if __name__ == "__main__":
    main()
