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
from pathlib import Path

import torch

from vzlib.embedded.dino.run import start, start_from
from vzlib.embedded.dino.stages import STAGES


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
