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


def _sizes(width: int, inner: int, layers: int, heads: int) -> Sizes:
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    return dict(zip(names, (width, inner, layers, heads), strict=True))


SEVEN, THIRTEEN = _sizes(4096, 11008, 32, 32), _sizes(5120, 13824, 40, 40)
CLIP_L = {**_sizes(1024, 4096, 24, 16), "projection_dim": 768, "image_size": 336, "patch_size": 14}
SO400M = {**_sizes(1152, 4304, 27, 16), "image_size": 384, "patch_size": 14}
# Heads of 64 and few layers, so that two cores read 2 880 visual tokens in about a second. The
# larger has about twice the weights of the smaller, as 13B and 7B have.
SMALL, SMALL_2X = _sizes(192, 512, 12, 3), _sizes(256, 688, 14, 4)
# Wide enough that a prefill of 160 tokens is arithmetic rather than overhead on two cores, and that
# weights rather than attention are most of its FLOPs, as in the real models.
MEDIUM = _sizes(768, 2048, 8, 12)
SMALL_TOWER = {**CLIP_L, **_sizes(128, 512, 8, 2), "projection_dim": 96}


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
    "llava-medium": Geometry(SMALL_TOWER, MEDIUM, views=5),
}
# A SigLIP as LLaVA-OneVision takes it, without the pooling head, which no LLaVA reads.
TOWERS: dict[str, tuple[Any, Sizes]] = {
    "clip-l-336": (CLIPVisionConfig, CLIP_L),
    "siglip-so400m": (SiglipVisionConfig, {**SO400M, "vision_use_head": False}),
}
IMAGE_TOKEN = 32000


def config(name: str) -> PreTrainedConfig:
    """The configuration of a LLaVA or a tower.

    A LLaVA-NeXT is a LLaVA-1.5 that is given five views of an image of 672 x 672 pixels. Its 48
    tokens for ends of lines are left out, as in the paper's 2 880, and as VisionZip leaves them.
    Raises ValueError for an unknown name.
    """
    if name in TOWERS:
        kind, sizes = TOWERS[name]
        return kind(**sizes)
    if name not in LLAVAS:
        raise ValueError(f"geometry {name!r} is unknown; allowed: {', '.join([*LLAVAS, *TOWERS])}")
    text = LlamaConfig(
        **LLAVAS[name].text,
        vocab_size=32064,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
        pad_token_id=0,
    )
    llava: Any = LlavaConfig  # whose declaration lags behind what it takes
    return llava(
        vision_config=CLIPVisionConfig(**LLAVAS[name].tower),
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
