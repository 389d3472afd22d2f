"""Models by name, stock classes with random weights: time does not depend on the values.

The shapes are those of the published checkpoints. Nothing is downloaded.
"""

from typing import Any, NamedTuple

import torch
from transformers import (
    AutoModel,
    AutoModelForImageTextToText,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    PreTrainedConfig,
    SiglipVisionConfig,
)

Sizes = dict[str, Any]
SEVEN: Sizes = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
         "num_attention_heads": 32}  # fmt: skip
THIRTEEN: Sizes = {"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40,
            "num_attention_heads": 40}  # fmt: skip
CLIP_L: Sizes = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
          "num_attention_heads": 16, "projection_dim": 768}  # fmt: skip
SO400M: Sizes = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
          "num_attention_heads": 16, "image_size": 384}  # fmt: skip
# Heads of 64 and few layers, so that two cores read 2 880 visual tokens in about a second. The
# larger has about twice the weights of the smaller, as 13B and 7B have.
SMALL: Sizes = {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 16,
         "num_attention_heads": 3}  # fmt: skip
SMALL_2X: Sizes = {"hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 18,
            "num_attention_heads": 4}  # fmt: skip
SMALL_TOWER: Sizes = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 8,
               "num_attention_heads": 2, "projection_dim": 96}  # fmt: skip


class Geometry(NamedTuple):
    """Sizes of a LLaVA's tower and language model, and into how many views it cuts an image."""

    tower: Sizes
    text: Sizes
    views: int = 1


LLAVAS = {
    "llava-1.5-7b": Geometry(CLIP_L, SEVEN),
    "llava-1.5-13b": Geometry(CLIP_L, THIRTEEN),
    "llava-next-7b": Geometry(CLIP_L, SEVEN, views=5),
    "llava-next-13b": Geometry(CLIP_L, THIRTEEN, views=5),
    "llava-small": Geometry(SMALL_TOWER, SMALL, views=5),
    "llava-small-2x": Geometry(SMALL_TOWER, SMALL_2X, views=5),
}
TOWERS = ("clip-l-336", "siglip-so400m")
IMAGE_TOKEN = 32000


def config(name: str) -> PreTrainedConfig:
    """The configuration of a LLaVA or a tower.

    A LLaVA-NeXT is a LLaVA-1.5 that is given five views of an image of 672 x 672 pixels. Its 48
    tokens for ends of lines are left out, as in the paper's 2 880, and as VisionZip leaves them.
    Raises ValueError for an unknown name.
    """
    if name == "clip-l-336":
        return _clip(CLIP_L)
    if name == "siglip-so400m":
        return SiglipVisionConfig(**SO400M, patch_size=14)
    if name not in LLAVAS:
        raise ValueError(f"geometry {name!r} is unknown; allowed: {', '.join([*LLAVAS, *TOWERS])}")
    text = LlamaConfig(
        **LLAVAS[name].text,
        vocab_size=32064,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
        pad_token_id=0,
    )
    kind: Any = LlavaConfig  # whose declaration lags behind what it takes
    return kind(
        vision_config=_clip(LLAVAS[name].tower),
        text_config=text,
        image_token_id=IMAGE_TOKEN,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        image_seq_length=576,
    )


def build(name: str, device: torch.device, dtype: torch.dtype) -> Any:
    """The model of that name, made on the device itself: no copy of the weights elsewhere.

    On the meta device it has shapes alone. Raises ValueError as `config` does.
    """
    own = config(name)
    kind = AutoModelForImageTextToText if name in LLAVAS else AutoModel
    with torch.device(device):
        return kind.from_config(own, dtype=dtype, attn_implementation="sdpa").eval()


def _clip(sizes: Sizes) -> CLIPVisionConfig:
    return CLIPVisionConfig(**sizes, image_size=336, patch_size=14)
