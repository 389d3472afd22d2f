"""Which families of models can be zipped, and which cannot: a table that measures nothing itself.

Stored results depend on the module of their own model's family, as `modules_of` names it.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

# Modules of `vzlib.models`, which load when they are asked for, and the names of classes; those
# derived from them count too.
FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "llava": ("LlavaForConditionalGeneration", "LlavaModel"),
        "llava_next": ("LlavaNextForConditionalGeneration", "LlavaNextModel"),
        "llava_onevision": (
            "LlavaOnevisionForConditionalGeneration",
            "LlavaOnevisionModel",
        ),
        "video_llava": ("VideoLlavaForConditionalGeneration", "VideoLlavaModel"),
        "internvl": ("InternVLForConditionalGeneration", "InternVLModel"),
        "qwen_vl": (
            "Qwen2_5_VLForConditionalGeneration",
            "Qwen2_5_VLModel",
            "Qwen3VLForConditionalGeneration",
            "Qwen3VLModel",
        ),
        "mini_gemini": ("MiniGeminiForConditionalGeneration", "MiniGeminiModel"),
        "smolvlm": ("SmolVLMForConditionalGeneration", "SmolVLMModel"),
    }
)

# Families that are refused, and why.
REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "Gemma3ForConditionalGeneration": "in its language model the tokens of an image attend to "
        "each other in both directions, and every image is 256 of them, pooled from a grid",
        "Idefics3ForConditionalGeneration": "transformers puts its images into prompts without "
        "telling where; SmolVLM, which is built alike, can be zipped",
    }
)


def family_of(classes: Iterable[str]) -> str | None:
    """The family of a model by the names of its class and those that this derives from.

    The first name that is known decides; None if none is.
    """
    pairs = ((family, name) for name in classes for family in FAMILIES)
    return next((family for family, name in pairs if name in FAMILIES[family]), None)


def modules_of(classes: Iterable[str]) -> list[str]:
    """The module of the family of a model, in full; those of all families if none is known."""
    known = family_of(classes)
    return [f"vzlib.models.{family}" for family in ([known] if known else FAMILIES)]
