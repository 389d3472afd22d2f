"""Trains pico-video, from pico: `python -m vzlib.embedded.video.train`.

Two stages: frames of 12 x 12 patches, then of 16 x 16. The tower stays as it is. In most steps the
language model is given a few tokens of each frame, so that one core does. Each stage can be killed
and goes on where it last saved; the rate of the first does not fall, so that it may be given more
steps later, or fewer. The same seed on the same kind of machine gives the
same weights.
"""

import argparse
import os
from collections.abc import Sequence as Several
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPVisionModel, LlavaForConditionalGeneration

from vzlib.embedded.video.architecture import (
    GRID,
    WINDOW,
    build,
    build_processor,
    tokenizer,
    trained,
)
from vzlib.embedded.video.language import clip_loss
from vzlib.embedded.video.seen import Sequence
from vzlib.paths import CHECKPOINTS
from vzlib.training.loop import train, working_dtype

ALBUM_EVERY = 4  # one step in so many is on albums
ROOM = 3000  # tokens of a step, about: what decides how many clips it has

# Stage: patches a side, steps, rate, decay, clips a batch, tokens of a frame and how often.
STAGES: dict[str, dict[str, Any]] = {
    "windows": {"grid": WINDOW, "steps": 1800, "rate": 8e-4, "decay": 0.0, "count": 8,
                "first": 0, "keep": ((14, 4), (24, 2), (48, 1))},
    "frames": {"grid": GRID, "steps": 600, "rate": 6e-4, "decay": 0.6, "count": 8,
               "first": 1_000_000, "keep": ((20, 3), (40, 3), (100, 2), (GRID * GRID + 1, 2))},
}  # fmt: skip


def keep_of(choices: Several[tuple[int, int]], step: int) -> tuple[int, float]:
    """Tokens of each frame in a step, and by how much those of things are favoured."""
    generator = torch.Generator().manual_seed(step + 1_000_000_000)
    weights = torch.tensor([float(often) for _, often in choices])
    keep, _ = choices[int(torch.multinomial(weights, 1, generator=generator))]
    favour = 1.0 if torch.rand((), generator=generator) < 0.75 else 0.4
    return keep, favour


def run(
    tower: CLIPVisionModel,
    model: LlavaForConditionalGeneration,
    name: str,
    folder: Path,
    seed: int,
    steps: int,
) -> None:
    """One stage, on the weights that the model has; `tower` is pico's, with all its positions."""
    stage = STAGES[name]
    vocabulary = tokenizer().get_vocab()
    given = {"grid": stage["grid"], "first": stage["first"], "seed": seed}
    kinds = {
        "clip": Sequence(tower, "clip", count=stage["count"], **given),
        "album": Sequence(tower, "album", count=stage["count"], **given),
    }

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        turn, within = divmod(step, ALBUM_EVERY)
        # Whatever is logged every so many steps, is of clips and albums by turns.
        kind = "album" if within == turn // 5 % ALBUM_EVERY else "clip"
        number = turn if kind == "album" else turn * (ALBUM_EVERY - 1) + min(within, 2)
        batch = kinds[kind](number)
        keep, favour = keep_of(stage["keep"], step)
        room = ROOM // (len(batch[0].clip.frames) * (keep + 2) + 220)
        value, right = clip_loss(model, vocabulary, batch[: max(1, room)], keep, step, favour)
        return value, right | {"keep": keep}

    train(trained(model), loss, name=name, folder=folder, steps=steps, rate=stage["rate"],
          warmup=60, decay=stage["decay"], dtype=working_dtype("cpu"), save_every=25)  # fmt: skip


def start(seed: int) -> tuple[CLIPVisionModel, LlavaForConditionalGeneration]:
    """Pico's tower, frozen, in the dtype that works here, and its model with the words of clips."""
    pico: Any = LlavaForConditionalGeneration.from_pretrained(
        CHECKPOINTS / "pico-llava", dtype=torch.float32
    )
    pico.set_attn_implementation("sdpa")
    model: Any = build(pico, seed)
    model.set_attn_implementation("sdpa")
    return pico.model.vision_tower.to(working_dtype("cpu")).requires_grad_(False), model


def load(model: LlavaForConditionalGeneration, folder: Path, stage: str) -> None:
    """Takes the weights that a stage saved last."""
    state = torch.load(folder / f"{stage}.pt", weights_only=True)["modules"]
    for name, module in trained(model).items():
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
    parser.add_argument("--stage", choices=[*STAGES, "export"], help="run this one only")
    parser.add_argument("--steps", type=int, help="of that one, instead of its own")
    arguments = parser.parse_args()
    if arguments.steps is not None and arguments.stage not in STAGES:
        parser.error("--steps is for one stage; name it by --stage")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    tower, model = start(arguments.seed)
    for before, (name, stage) in zip((None, *STAGES), STAGES.items(), strict=False):
        if arguments.stage in (None, name):
            if before is not None:
                load(model, arguments.folder, before)
            steps = stage["steps"] if arguments.steps is None else arguments.steps
            run(tower, model, name, arguments.folder, arguments.seed, steps)
    if arguments.stage in (None, "export"):
        load(model, arguments.folder, list(STAGES)[-1])
        export(model, arguments.target)


if __name__ == "__main__":
    main()
