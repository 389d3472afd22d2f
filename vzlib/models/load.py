"""Load a model with its processor: an embedded one, a local folder or a name on the hub."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor

from vzlib.models import projector
from vzlib.models.checkpoint import Checkpoint, configuration, resolve, stamp
from vzlib.models.host import host_of
from vzlib.models.hub import LoadError, first_line
from vzlib.models.quantisation import check, loading_options
from vzlib.models.tower_parts import has_cls, layers_read, token_count

# Any one file of each row does.
PARTS = {
    "config": ("config.json",),
    "weights": (
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
    ),
    "tokenizer": ("tokenizer.json", "tokenizer.model"),
    "processor": ("processor_config.json", "preprocessor_config.json"),
}
# Files of weights whatever they are called: variants (model.fp16.safetensors), other programs'.
WEIGHTS = re.compile(r".*\.(safetensors|bin|pt|pth|ckpt|gguf|h5|msgpack)|.*\.index\..*json")


@dataclass(frozen=True)
class Loaded:
    """A stock model in eval mode and its stock processor, and what all ask of their shape.

    name: what it is called. checkpoint: what both were loaded from, if from anything.
    """

    model: Any
    processor: Any
    name: str
    checkpoint: Checkpoint | None = None

    @property
    def tower(self) -> Any:
        """The vision tower."""
        return self.model.base_model.vision_tower

    @property
    def layer(self) -> int:
        """Index into the tower's `hidden_states` of the layer that the language model reads.

        Of several, the deepest.
        """
        return layers_read(self.tower, self.model.config.vision_feature_layer)[-1]

    @property
    def beside(self) -> tuple[int, ...]:
        """The other layers that it reads, whose features stand in front."""
        return layers_read(self.tower, self.model.config.vision_feature_layer)[:-1]

    @property
    def has_cls(self) -> bool:
        """Whether the first token of the tower is a CLS token."""
        return has_cls(self.tower)

    @property
    def patches(self) -> int:
        """Patches that the tower cuts an image into."""
        return token_count(self.tower) - self.has_cls

    @property
    def grid(self) -> int:
        """Patches along a side of the image."""
        return math.isqrt(self.patches)

    def pixels(self, images: Sequence[Any]) -> Tensor:
        """What the tower is given for images (PIL, or uint8 [H, W, 3]): [B, 3, H, W]."""
        # The processor wants strides that a flipped or cropped array has not.
        given = [
            np.ascontiguousarray(image) if isinstance(image, np.ndarray) else image
            for image in images
        ]
        pixels = self.processor.image_processor(images=given, return_tensors="pt")["pixel_values"]
        return pixels.to(self.model.device, self.model.dtype)


def load(
    name: str | Path | Checkpoint,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
) -> Loaded:
    """Load a vision-language model and its processor, both in the revision that `identity` names.

    name: an embedded model such as "pico", a local folder, or a hub name such as
        "llava-hf/llava-1.5-7b-hf", as `vzlib.models.checkpoint.resolve` reads it.
    device: "auto" takes a GPU if there is one. dtype: "auto" is float32 on the CPU, else bfloat16.

    Raises LoadError (a ValueError), before weights are read, for a name that leads nowhere, for
    missing parts of a folder, for a tuned projector of other shapes or beside quantised weights,
    and for a device, dtype or quantisation that there is not here; after, for weights that do not
    fit the config.
    """
    checkpoint = resolve(name, device=device, dtype=dtype)
    if checkpoint.revision is None:
        folder = Path(checkpoint.source)
        if missing := missing_parts(folder):
            raise LoadError(
                f"checkpoint folder {folder} has no {', no '.join(missing)}{_instead(folder)}"
            )
    if checkpoint.projector is not None:
        projector.check(Path(checkpoint.projector), checkpoint.name, _projector_shapes(checkpoint))
    check(checkpoint.quantisation, checkpoint.device)
    if checkpoint.quantisation and checkpoint.projector is not None:
        raise LoadError(
            f"{checkpoint.name} has a tuned projector, which cannot replace a quantised one; "
            "allowed: either of the two"
        )
    number = getattr(torch, checkpoint.dtype)
    where: Any = {"revision": checkpoint.revision, "local_files_only": checkpoint.offline}
    try:
        loading: Any = AutoModelForImageTextToText.from_pretrained(
            checkpoint.source,
            dtype=number,
            device_map=checkpoint.device,
            output_loading_info=True,
            **loading_options(checkpoint.quantisation, number),
            **where,
        )
        processor = AutoProcessor.from_pretrained(checkpoint.source, **where)
    except Exception as error:  # whatever transformers meets in a damaged or foreign checkpoint
        raise LoadError(f"cannot load {checkpoint.name}: {first_line(error)}") from error
    model, report = loading
    if missing := sorted(report["missing_keys"]):
        raise LoadError(
            f"the weights of {checkpoint.name} lack {len(missing)} tensors its config asks for, "
            f"such as {missing[0]}"
        )
    if checkpoint.projector is not None:
        projector.put(Path(checkpoint.projector), host_of(model).projector(model.base_model))
    return Loaded(model.eval(), processor, checkpoint.name, checkpoint)


def loaded(name: str | Path) -> Loaded:
    """`load`, once for all that is measured on a model; anew if its files have changed."""
    checkpoint = resolve(name)
    return _loaded(checkpoint, stamp(checkpoint))


@lru_cache(maxsize=1)
def _loaded(checkpoint: Checkpoint, stamp: tuple[object, ...]) -> Loaded:
    return load(checkpoint)


def _projector_shapes(checkpoint: Checkpoint) -> dict[str, tuple[int, ...]]:
    """Of the projector that a model has of its own, told without weights."""
    with torch.device("meta"):
        bare: Any = AutoModelForImageTextToText.from_config(configuration(checkpoint))
    return projector.shapes(host_of(bare).projector(bare.base_model))


def _instead(folder: Path) -> str:
    """Says which weights there are where none has a name that is looked for."""
    names = sorted(path.name for path in folder.iterdir())
    found = [name for name in names if WEIGHTS.fullmatch(name) and not name.startswith(".")]
    if not found or any(name in PARTS["weights"] for name in names):
        return ""
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return (
        f"; there are weights called {', '.join(found[:3])}{more}, which are not looked for: "
        "rename them if they are those of the model, or save it anew by save_pretrained"
    )


def missing_parts(folder: Path) -> list[str]:
    """What a folder lacks of config, weights (every shard), tokenizer and processor.

    Raises LoadError for an index of shards that cannot be read.
    """
    missing = [
        f"{part} ({' or '.join(files)})"
        for part, files in PARTS.items()
        if not any((folder / file).is_file() for file in files)
    ]
    weights = next((file for file in PARTS["weights"] if (folder / file).is_file()), "")
    if weights.endswith("index.json"):
        index = folder / weights
        try:
            shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LoadError(f"{index} is damaged: {error!r}") from error
        missing += [f"weights ({shard})" for shard in shards if not (folder / shard).is_file()]
    return missing
