"""The kinds of encoders and what of them the method needs; tiny ones with random weights."""

from typing import Any, NamedTuple

import torch
import transformers
from torch import Tensor

SIDE, PATCH = 96, 8  # pixels; 144 patches


class Encoder(NamedTuple):
    """A kind of vision tower.

    tower: its class in transformers. models: of those that are zipped, which have it, by the names
    of `vzlib.models.families.FAMILIES`. hub: a checkpoint with it. embedded: a model of this
    repository that has it.
    """

    tower: str
    models: tuple[str, ...]
    hub: str
    embedded: str = ""


# The first five are read by `vzlib.models.towers`, the others within their models.
ENCODERS = (
    Encoder("CLIPVisionModel", ("llava", "llava_next", "video_llava", "mini_gemini"),
            "llava-hf/llava-1.5-7b-hf",
            "pico"),
    Encoder("SiglipVisionModel", ("llava", "llava_onevision"),
            "llava-hf/llava-onevision-qwen2-7b-ov-hf"),
    Encoder("Siglip2VisionModel", (), "google/siglip2-base-patch16-naflex"),
    Encoder("Dinov2Model", ("llava",), "facebook/dinov2-small", "dino"),
    Encoder("Dinov2WithRegistersModel", ("llava",), "facebook/dinov2-with-registers-small"),
    Encoder("InternVLVisionModel", ("internvl",), "OpenGVLab/InternVL3-8B-hf"),
    Encoder("SmolVLMVisionTransformer", ("smolvlm",), "HuggingFaceTB/SmolVLM2-2.2B-Instruct"),
    Encoder("Qwen2_5_VisionTransformerPretrainedModel", ("qwen_vl",),
            "Qwen/Qwen2.5-VL-7B-Instruct"),
    Encoder("Qwen3VLVisionModel", ("qwen_vl",), "Qwen/Qwen3-VL-8B-Instruct"),
)  # fmt: skip


def tiny(kind: str, seed: int) -> tuple[Any, tuple[Tensor, ...]]:
    """A tower of four blocks with random weights, and two images of noise as it takes them."""
    shape: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4,
                             "patch_size": PATCH}  # fmt: skip
    if not kind.startswith("Dino"):
        shape["intermediate_size"] = 64
    generator = torch.Generator().manual_seed(seed)
    inputs: tuple[Tensor, ...] = (torch.randn(2, 3, SIDE, SIDE, generator=generator),)
    if kind == "Siglip2VisionModel":
        patches = (SIDE // PATCH) ** 2
        shape["num_patches"] = patches
        noise = torch.randn(2, patches, 3 * PATCH**2, generator=generator)
        inputs = (noise, torch.full((2, 2), SIDE // PATCH))
    else:
        shape["image_size"] = SIDE
    name = kind.removesuffix("Model")
    config = getattr(transformers, f"{name}Config")(**shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return getattr(transformers, kind)(config).eval(), inputs
