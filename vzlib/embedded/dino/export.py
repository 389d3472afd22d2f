"""The checkpoint in Hugging Face format, the tower in a file of its own.

A new language model so changes one file, and the other 44 MB of the repository stay as they are.
"""

import copy
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import LlavaForConditionalGeneration

from vzlib.embedded.dino.architecture import build_processor
from vzlib.embedded.dino.language import StandardisedProjector

SHARDS = {True: "model-00001-of-00002.safetensors", False: "model-00002-of-00002.safetensors"}


def export(
    model: LlavaForConditionalGeneration,
    projector: StandardisedProjector,
    new_words: Sequence[str],
    target: Path,
) -> None:
    """Writes `model` with its standardised projector to the folder `target`.

    Weights are kept in float16 and loaded in float32, unless another dtype is asked for. The model
    and the projector stay as they are.
    """
    shipped = copy.deepcopy(model).cpu()
    shipped.model.multi_modal_projector = copy.deepcopy(projector).cpu().bake()
    shipped.config.dtype = torch.float32
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        shipped.save_pretrained(folder)
        weights = load_file(Path(folder) / "model.safetensors")
        for name in ("config.json", "generation_config.json"):
            (target / name).write_text((Path(folder) / name).read_text())
    place = {name: SHARDS["vision_tower" in name] for name in sorted(weights)}
    for file in SHARDS.values():
        part = {name: weights[name].half() for name in place if place[name] == file}
        save_file(part, target / file, metadata={"format": "pt"})
    size = sum(2 * value.numel() for value in weights.values())
    index = {"metadata": {"total_size": size}, "weight_map": place}
    (target / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    build_processor(new_words).save_pretrained(target)
