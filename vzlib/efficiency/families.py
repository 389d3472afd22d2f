"""A model of each family with random weights, and one image, or clip, as its processor gives it.

Towers have the sizes of the published checkpoints, or some of their blocks. Nothing is downloaded.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
import transformers as hf
from torch import Tensor

from vzlib.efficiency.geometry import CLIP_L, SO400M, Sizes
from vzlib.models.mini_gemini_model import MiniGeminiConfig
from vzlib.models.shuffled_tiles import knowing

IDS = {"image_token_id": 10, "video_token_id": 11}
QWEN_IDS = {**IDS, "vision_start_token_id": 12, "vision_end_token_id": 13}
CONVNEXT_L = {"hidden_sizes": [192, 384, 768, 1536], "depths": [3, 3, 27, 3]}
INTERNVIT = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
             "num_attention_heads": 16}  # fmt: skip
QWEN_25 = {"hidden_size": 1280, "intermediate_size": 3420, "depth": 32, "num_heads": 16}
QWEN_3 = {"hidden_size": 1152, "intermediate_size": 4304, "depth": 27, "num_heads": 16}


class Case(NamedTuple):
    """A family at the size of a checkpoint.

    config: of sizes of the tower and of the language model. tower: those of the checkpoint.
    inputs: of one image or clip, by name: the shape of pixels, or values. tiles: of the image,
    where the model is told. skips: whether the zipped tower leaves a block out.
    """

    config: Callable[[Sizes, Sizes], Any]
    tower: Sizes
    inputs: Mapping[str, Any]
    tiles: int | None = None
    skips: bool = False

    @property
    def method(self) -> str:
        """The method that encodes the input."""
        kind = "video" if "pixel_values_videos" in self.inputs else "image"
        return f"get_{kind}_features"

    def given(self, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        """The input, with pixels of noise."""
        found = {}
        for name, value in self.inputs.items():
            pixels = name.startswith("pixel_values")
            found[name] = torch.randn(value, dtype=dtype) if pixels else torch.tensor(value)
        return {name: value.to(device) for name, value in found.items()}

    def told(self) -> AbstractContextManager[None]:
        """A context in which the model knows the tiles of the image."""
        return nullcontext() if self.tiles is None else knowing([self.tiles])


def build(case: Case, text: Sizes, device: torch.device, dtype: torch.dtype, **tower: Any) -> Any:
    """The model, with these sizes of its language model, and of its tower where they are given."""
    config = case.config({**case.tower, **tower}, text)
    kind = hf.AutoModelForImageTextToText
    with torch.device(device):
        return kind.from_config(config, dtype=dtype, attn_implementation="sdpa").eval()


def _llama(text: Sizes) -> Any:
    return hf.LlamaConfig(**text, vocab_size=256, max_position_embeddings=8192, pad_token_id=0)


def _qwen2(text: Sizes) -> Any:
    return hf.Qwen2Config(**text, vocab_size=256, max_position_embeddings=8192, pad_token_id=0)


def _llava(kind: Any, eye: Any, **options: Any) -> Callable[[Sizes, Sizes], Any]:
    def config(tower: Sizes, text: Sizes) -> Any:
        return kind(vision_config=eye(**tower), text_config=_llama(text), **options)

    return config


def _mini_gemini(tower: Sizes, text: Sizes) -> Any:
    eye = {name: value for name, value in tower.items() if name != "aux"}
    aux = hf.ConvNextConfig(**tower["aux"])
    options = {"image_token_id": IDS["image_token_id"], "aux_config": aux}
    return _llava(MiniGeminiConfig, hf.CLIPVisionConfig, **options)(eye, text)


def _internvl(tower: Sizes, text: Sizes) -> Any:
    kinds: Any = hf.InternVLConfig
    return kinds(
        vision_config=hf.InternVLVisionConfig(**tower), text_config=_qwen2(text),
        image_token_id=IDS["image_token_id"],
    )  # fmt: skip


def _smolvlm(tower: Sizes, text: Sizes) -> Any:
    kinds: Any = hf.SmolVLMConfig
    told = {**text, "model_type": "llama", "vocab_size": 256, "pad_token_id": 0}
    return kinds(vision_config=tower, text_config=told, scale_factor=3,
                 image_token_id=IDS["image_token_id"])  # fmt: skip


def _qwen(kind: Any, tower: Sizes, text: Sizes, **eye: Any) -> Any:
    width, heads = text["hidden_size"], text["num_attention_heads"]
    half = width // heads // 2
    sections = [half - 2 * (half * 3 // 8), half * 3 // 8, half * 3 // 8]
    rope = {"rope_type": "default", "mrope_section": sections, "rope_theta": 1e6}
    of_text = {**text, "vocab_size": 256, "rope_parameters": rope, "pad_token_id": 0}
    of_text |= {"num_key_value_heads": heads, "head_dim": width // heads}
    return kind(
        vision_config={**tower, **eye, "out_hidden_size": width}, text_config=of_text, **QWEN_IDS
    )


def _qwen25(tower: Sizes, text: Sizes) -> Any:
    whole = sorted({max(tower["depth"] * part // 4 - 1, 0) for part in (1, 2, 3, 4)})
    if "head_dim" in text:
        text = {name: value for name, value in text.items() if name != "head_dim"}
    return _qwen(hf.Qwen2_5_VLConfig, tower, text, fullatt_block_indexes=whole)


def _qwen3(tower: Sizes, text: Sizes) -> Any:
    depth = tower["depth"]
    stages = sorted({min(at, depth - 1) for at in (8, 16, 24)})
    return _qwen(hf.Qwen3VLConfig, tower, text, deepstack_visual_indexes=stages)


SQUARES = {"image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]}
TILES = {"image_grid_pinpoints": [[384 * y, 384 * x] for y in (1, 2) for x in (1, 2)]}
CLIP_224, PATCHES = {**CLIP_L, "image_size": 224}, 32 * 32
CASES: Mapping[str, Case] = MappingProxyType(
    {
        "LLaVA-1.5": Case(
            _llava(hf.LlavaConfig, hf.CLIPVisionConfig, image_token_id=10),
            CLIP_L, {"pixel_values": (1, 3, 336, 336)}, skips=True,
        ),
        "LLaVA-NeXT": Case(
            _llava(hf.LlavaNextConfig, hf.CLIPVisionConfig, image_token_id=10, **SQUARES),
            CLIP_L, {"pixel_values": (1, 5, 3, 336, 336), "image_sizes": [[672, 672]]}, skips=True,
        ),
        "LLaVA-OneVision": Case(
            _llava(hf.LlavaOnevisionConfig, hf.SiglipVisionConfig, **IDS, **TILES),
            {**SO400M, "num_hidden_layers": 26, "vision_use_head": False},
            {"pixel_values": (1, 3, 3, 384, 384), "image_sizes": [[384, 768]]},
        ),
        "Video-LLaVA": Case(
            _llava(hf.VideoLlavaConfig, hf.CLIPVisionConfig, **IDS),
            CLIP_224, {"pixel_values_videos": (1, 8, 3, 224, 224)}, skips=True,
        ),
        "Mini-Gemini": Case(
            _mini_gemini,
            {**CLIP_L, "aux": CONVNEXT_L},
            {"pixel_values": (1, 3, 768, 768)},
            skips=True,
        ),
        "InternVL3": Case(
            _internvl, INTERNVIT, {"pixel_values": (3, 3, 448, 448)}, tiles=3,
        ),
        "SmolVLM2": Case(
            _smolvlm, {**SO400M, "image_size": 378}, {"pixel_values": (1, 3, 3, 378, 378)}, tiles=3,
        ),
        "Qwen2.5-VL": Case(
            _qwen25, QWEN_25,
            {"pixel_values": (PATCHES, 3 * 2 * 14**2), "image_grid_thw": [[1, 32, 32]]},
        ),
        "Qwen3-VL": Case(
            _qwen3, QWEN_3,
            {"pixel_values": (PATCHES, 3 * 2 * 16**2), "image_grid_thw": [[1, 32, 32]]},
        ),
    }
)  # fmt: skip
