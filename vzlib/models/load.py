"""Load a model with its processor: our own pico, a local folder or a name on the Hugging Face hub.

python -m vzlib.models.load NAME [--image PATH [--ask QUESTION]] [--retain 64]
"""

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
from huggingface_hub import constants, get_session, try_to_load_from_cache
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor

from vzlib.models.tower_parts import depth_of, has_cls, token_count
from vzlib.paths import CHECKPOINTS

PICO = CHECKPOINTS / "pico-llava"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
HUB_TIMEOUT = 5.0  # seconds until the hub counts as unreachable

# Any one file of each row does.
PARTS = {
    "config": ("config.json",),
    "weights": ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"),
    "tokenizer": ("tokenizer.json", "tokenizer.model"),
    "processor": ("processor_config.json", "preprocessor_config.json"),
}


class LoadError(ValueError):
    """A model that cannot be loaded; the message says which and why."""


@dataclass(frozen=True)
class Loaded:
    """A stock model in eval mode and its stock processor, and what all ask of their shape.

    name: what both were loaded by.
    """

    model: Any
    processor: Any
    name: str

    @property
    def tower(self) -> Any:
        """The vision tower."""
        return self.model.base_model.vision_tower

    @property
    def layer(self) -> int:
        """Index into the tower's `hidden_states` of the layer that the language model reads.

        Raises ValueError for a model that reads several.
        """
        layer = self.model.config.vision_feature_layer
        if isinstance(layer, list | tuple) and len(layer) == 1:
            (layer,) = layer
        depth_of(self.tower, layer)
        return layer

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
    name: str | Path, device: str | torch.device = "auto", dtype: str | torch.dtype = "auto"
) -> Loaded:
    """Load a vision-language model and its processor.

    name: "pico", a local folder, or a hub name such as "llava-hf/llava-1.5-7b-hf" (from the
        cache if it is there and the hub is not reachable).
    device: "auto" takes a GPU if there is one. dtype: "auto" is float32 on the CPU, else bfloat16.

    Raises LoadError (a ValueError), before weights are read, for a name that leads nowhere, for
    missing parts of a folder, and for a device or dtype that there is not; after, for weights that
    do not fit the config.
    """
    place = _device(device)
    number = _dtype(dtype, place)
    source, local = _source(str(name))
    try:
        loading: Any = AutoModelForImageTextToText.from_pretrained(
            source, dtype=number, local_files_only=local, output_loading_info=True
        )
        processor = AutoProcessor.from_pretrained(source, local_files_only=local)
    except Exception as error:  # whatever transformers meets in a damaged or foreign checkpoint
        raise LoadError(f"cannot load {name}: {_first_line(error)}") from error
    model, report = loading
    if missing := sorted(report["missing_keys"]):
        raise LoadError(
            f"the weights of {name} lack {len(missing)} tensors its config asks for, such as "
            f"{missing[0]}"
        )
    return Loaded(model.to(place).eval(), processor, str(name))


def loaded(name: str | Path) -> Loaded:
    """`load`, once for all that is measured on a model."""
    return _loaded(str(name))


@lru_cache(maxsize=1)
def _loaded(name: str) -> Loaded:
    return load(name)


def missing_parts(folder: Path) -> list[str]:
    """What a folder lacks of config, weights (every shard), tokenizer and processor.

    Raises LoadError for an index of shards that cannot be read.
    """
    missing = [
        f"{part} ({' or '.join(files)})"
        for part, files in PARTS.items()
        if not any((folder / file).is_file() for file in files)
    ]
    index = folder / "model.safetensors.index.json"
    if index.is_file() and not (folder / "model.safetensors").is_file():
        try:
            shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LoadError(f"{index} is damaged: {error!r}") from error
        missing += [f"weights ({shard})" for shard in shards if not (folder / shard).is_file()]
    return missing


def _device(device: str | torch.device) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise LoadError(
            f"device={device!r} is unknown; allowed: auto, cpu, cuda, cuda:0"
        ) from error
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise LoadError(f"device={device!r}, but {torch.cuda.device_count()} CUDA devices are here")
    return place


def _dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    if dtype == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    if isinstance(dtype, str) and dtype in DTYPES:
        return DTYPES[dtype]
    if isinstance(dtype, torch.dtype) and dtype in DTYPES.values():
        return dtype
    raise LoadError(f"dtype={dtype!r} is unknown; allowed: auto, {', '.join(DTYPES)}")


def _source(name: str) -> tuple[str, bool]:
    """Folder or hub name, and whether to stay off the network."""
    folder = PICO if name == "pico" else Path(name).expanduser()
    if folder.is_dir():
        if missing := missing_parts(folder):
            raise LoadError(f"checkpoint folder {folder} has no {', no '.join(missing)}")
        return str(folder), True
    if name == "pico":
        raise LoadError(
            f"there is no {folder} yet; train it with: python -m vzlib.embedded.pico.train"
        )
    if not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name):
        raise LoadError(
            f"{name!r} is neither 'pico' nor a folder nor a hub name such as "
            "llava-hf/llava-1.5-7b-hf"
        )
    return name, _offline(name)


def _offline(name: str) -> bool:
    """Whether a hub name has to come from the cache. One short request, not a ladder of retries."""
    cached = isinstance(try_to_load_from_cache(name, "config.json"), str)
    problem = "HF_HUB_OFFLINE is set"
    if not constants.HF_HUB_OFFLINE:
        try:
            url = f"{constants.ENDPOINT}/{name}/resolve/main/config.json"
            status = get_session().head(url, timeout=HUB_TIMEOUT).status_code
        except Exception as error:  # of whichever HTTP library the hub client uses
            problem = _first_line(error)
        else:
            if status in (401, 403, 404) and not cached:
                raise LoadError(f"the hub has no public model {name} (it answered {status})")
            return status >= 400
    if not cached:
        raise LoadError(
            f"{name} is no folder here and not in the cache, and the hub at {constants.ENDPOINT} "
            f"cannot be reached ({problem}); give a local folder, or 'pico'"
        )
    return True


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


if __name__ == "__main__":
    from vzlib.models.command import main

    raise SystemExit(main())
