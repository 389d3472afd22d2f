"""Trains pico-video, from pico: `python -m vzlib.embedded.video.train`.

Two stages: on a few tokens of each frame, those of things first, then mostly on all of them, so
that it answers best with all. The tower stays as it is. Each stage can be killed and goes on where
it last saved; the rate of the first does not fall, so that it may be given more steps later, or
fewer. `--checkpoint checkpoints/pico-video` trains on what ships. The same seed on the same kind of
machine gives the same weights.
"""

import argparse
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPVisionModel, LlavaForConditionalGeneration

from vzlib.embedded.video.architecture import (
    GRID,
    build,
    build_processor,
    tokenizer,
    trained,
)
from vzlib.embedded.video.attention import use
from vzlib.embedded.video.language import NOTES, Shown, clip_loss
from vzlib.embedded.video.notes import Notes
from vzlib.embedded.video.seen import Sequence
from vzlib.paths import CHECKPOINTS
from vzlib.training.card import CURVE
from vzlib.training.loop import train, working_dtype

ALBUM_EVERY = 4  # one step in so many is on albums

# Stage: steps, rate, decay, clips a batch, tokens of a frame and how often, and the share of the
# steps whose tokens have the positions that they have among all.
STAGES: dict[str, dict[str, Any]] = {
    "few": {"steps": 900, "rate": 1e-3, "decay": 0.0, "count": 6, "first": 0,
            "keep": ((20, 3), (32, 2), (56, 1)), "stretched": 0.5},
    "all": {"steps": 800, "rate": 8e-4, "decay": 0.6, "count": 2, "first": 1_000_000,
            "keep": ((40, 1), (100, 2), (GRID * GRID + 1, 3)), "stretched": 0.0},
}  # fmt: skip


def shown_in(stage: Mapping[str, Any], step: int) -> Shown:
    """How much of each frame a step shows."""
    generator = torch.Generator().manual_seed(step + 1_000_000_000)
    weights = torch.tensor([float(often) for _, often in stage["keep"]])
    keep, _ = stage["keep"][int(torch.multinomial(weights, 1, generator=generator))]
    some, stretched = torch.rand(2, generator=generator).tolist()
    return Shown(keep, 1.0 if some < 0.75 else 0.4, stretched < stage["stretched"])


def run(
    tower: CLIPVisionModel,
    model: LlavaForConditionalGeneration,
    heads: Notes,
    name: str,
    folder: Path,
    seed: int,
    steps: int,
) -> None:
    """One stage, on the weights that the model has; `tower` is pico's, with all its positions."""
    stage = STAGES[name]
    vocabulary = tokenizer().get_vocab()
    given = {"grid": GRID, "count": stage["count"], "first": stage["first"], "seed": seed}
    kinds = {kind: Sequence(tower, kind, **given) for kind in ("clip", "album")}

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        turn, within = divmod(step, ALBUM_EVERY)
        # Whatever is logged every so many steps, is of clips and albums by turns.
        kind = "album" if within == turn // 5 % ALBUM_EVERY else "clip"
        number = turn if kind == "album" else turn * (ALBUM_EVERY - 1) + min(within, 2)
        shown = shown_in(stage, step)
        told, noted, right = clip_loss(model, heads, vocabulary, kinds[kind](number), shown, step)
        logs = {"answers": told.item(), "keep": shown.keep, **right}
        return told + NOTES * noted, logs

    train({**trained(model), "notes": heads}, loss, name=name, folder=folder, steps=steps,
          rate=stage["rate"], warmup=30, decay=stage["decay"], dtype=working_dtype("cpu"),
          save_every=25)  # fmt: skip


def start(
    seed: int, checkpoint: Path | None = None
) -> tuple[CLIPVisionModel, LlavaForConditionalGeneration, Notes]:
    """Pico's tower, frozen, in the dtype that works here, a model with the words of clips, heads.

    checkpoint: folder of the model to train on; None makes one of pico.
    """
    pico: Any = LlavaForConditionalGeneration.from_pretrained(
        CHECKPOINTS / "pico-llava", dtype=torch.float32
    )
    pico.set_attn_implementation("sdpa")
    model: Any = build(pico, seed)
    if checkpoint is not None:
        shipped = LlavaForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
        model.load_state_dict(shipped.state_dict())
    use(model)
    heads = Notes(model.config.text_config.hidden_size)
    return pico.model.vision_tower.to(working_dtype("cpu")).requires_grad_(False), model, heads


def keep_curve(checkpoint: Path, folder: Path) -> None:
    """Leaves the curve of what a training goes on from in `folder`, where the card finds it."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / CURVE).exists():
        shutil.copy(checkpoint / CURVE, folder)


def load(modules: Mapping[str, nn.Module], folder: Path, stage: str) -> None:
    """Takes the weights that a stage saved last."""
    state = torch.load(folder / f"{stage}.pt", weights_only=True)["modules"]
    for name, module in modules.items():
        module.load_state_dict(state[name])


def export(model: LlavaForConditionalGeneration, target: Path) -> None:
    """Writes the checkpoint in Hugging Face format, weights in float16."""
    other: Any = model
    other.half().save_pretrained(target)
    build_processor().save_pretrained(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("results/pico-video"))
    parser.add_argument("--target", type=Path, default=CHECKPOINTS / "pico-video")
    parser.add_argument("--checkpoint", type=Path, help="train this one on; else pico")
    parser.add_argument("--stage", choices=[*STAGES, "export"], help="run this one only")
    parser.add_argument("--steps", type=int, help="of that one, instead of its own")
    arguments = parser.parse_args()
    if arguments.steps is not None and arguments.stage not in STAGES:
        parser.error("--steps is for one stage; name it by --stage")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    tower, model, heads = start(arguments.seed, arguments.checkpoint)
    modules = {**trained(model), "notes": heads}
    if arguments.checkpoint:
        keep_curve(arguments.checkpoint, arguments.folder)
    for before, (name, stage) in zip((None, *STAGES), STAGES.items(), strict=False):
        if arguments.stage in (None, name):
            # A checkpoint that is named begins whichever stage runs first.
            if before is not None and not (arguments.checkpoint and arguments.stage):
                load(modules, arguments.folder, before)
            steps = stage["steps"] if arguments.steps is None else arguments.steps
            run(tower, model, heads, name, arguments.folder, arguments.seed, steps)
    if arguments.stage in (None, "export"):
        load(modules, arguments.folder, list(STAGES)[-1])
        export(model, arguments.target)


if __name__ == "__main__":
    main()
