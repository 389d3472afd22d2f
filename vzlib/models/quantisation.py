"""Weights in 8 and 4 bit, by bitsandbytes: as the released LLaVA loads them, on a GPU or a CPU."""

import importlib.util
import logging
from typing import Any

from vzlib.models.hub import LoadError

# By name, what transformers' own configuration is told. All linear layers of a model but the last
# one, which gives the words, are quantised; the others stay in the model's dtype.
QUANTISATIONS: dict[str, dict[str, Any]] = {
    "int8": {"load_in_8bit": True},  # LLM.int8 (Dettmers et al., 2022)
    "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},  # QLoRA (Dettmers et al., 2023)
    "fp4": {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"},
}
DEVICES = ("cpu", "cuda", "xpu")


def check(name: str | None, device: str) -> None:
    """Raise LoadError, saying what can be, for a quantisation that cannot run on a device here.

    None is no quantisation, which can always be. Nothing is loaded.
    """
    if name is None:
        return
    if name not in QUANTISATIONS:
        raise LoadError(f"quantisation={name!r} is unknown; allowed: {', '.join(QUANTISATIONS)}")
    kind = device.partition(":")[0]
    if kind not in DEVICES:
        raise LoadError(
            f"quantisation={name!r} cannot run on {device}; allowed there: none, or on "
            f"{', '.join(DEVICES)}: {', '.join(QUANTISATIONS)}"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise LoadError(
            f"quantisation={name!r} needs bitsandbytes, which is not installed (pip install "
            "bitsandbytes); allowed without it: none"
        )


def loading_options(name: str | None, dtype: Any) -> dict[str, Any]:
    """What `from_pretrained` is given besides, to quantise weights; sums are in `dtype`."""
    if name is None:
        return {}
    from transformers import BitsAndBytesConfig

    # It says at every call of a layer that LLM.int8 quantises what is in float16.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    options = QUANTISATIONS[name]
    if "load_in_4bit" in options:
        options = {**options, "bnb_4bit_compute_dtype": dtype}
    return {"quantization_config": BitsAndBytesConfig(**options)}
