"""Compares the tower that ships with another DINOv2-small, by default the one on the hub:
`python -m vzlib.embedded.dino.compare_tower`.

The package that the tower comes from does not say whether its author tuned it. Who has the hub can
see: weights that were not touched differ by no more than the rounding to float16, 5e-4 of their
size.
"""

import argparse
from typing import Any

import pandas as pd
import torch
from transformers import Dinov2Model, LlavaForConditionalGeneration

from vzlib.embedded.dino.tower import baked
from vzlib.paths import CHECKPOINTS


def compare(tower: Dinov2Model, other: Dinov2Model) -> pd.DataFrame:
    """One row per weight: largest difference, and largest size in the tower."""
    side: Any = tower.config.image_size
    expected = baked(other, side).state_dict()
    rows = [
        (name, (value - expected[name]).abs().max().item(), value.abs().max().item())
        for name, value in tower.state_dict().items()
        if name != "embeddings.mask_token"  # of no use here, and not in the file it came from
    ]
    return pd.DataFrame(rows, columns=["weight", "difference", "largest"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default=str(CHECKPOINTS / "dino-llava"))
    parser.add_argument("--other", default="facebook/dinov2-small", help="of the hub, or a folder")
    arguments = parser.parse_args()
    model = LlavaForConditionalGeneration.from_pretrained(arguments.checkpoint, dtype=torch.float32)
    other = Dinov2Model.from_pretrained(arguments.other, dtype=torch.float32)
    table = compare(model.model.vision_tower, other)
    worst = table.iloc[int((table["difference"] / table["largest"]).argmax())]
    print(table.to_string(index=False))
    print(f"largest relative difference {worst.difference / worst.largest:.1e} in {worst.weight}")


if __name__ == "__main__":
    main()
