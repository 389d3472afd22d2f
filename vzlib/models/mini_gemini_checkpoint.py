"""A released checkpoint of Mini-Gemini, read into `vzlib.models.mini_gemini_model`.

Released are `YanweiLi/MGM-7B` and `-13B`, with the language model, the projectors and, where they
were trained, the towers. What a checkpoint lacks of CLIP and ConvNeXt comes from the folders of
`openai/clip-vit-large-patch14-336` and `laion/CLIP-convnext_large_d_320.laion2B-s29B-b131K-ft-soup`
(the released code does the same). Sizes of towers are read off their tensors.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPVisionConfig, ConvNextConfig, LlavaProcessor

from vzlib.models.hub import LoadError
from vzlib.models.mini_gemini_model import MiniGeminiConfig, MiniGeminiForConditionalGeneration

HEAD = 64  # channels of a head, in every CLIP tower of OpenAI

# From the names of released tensors to ours, first match; what matches none is not read.
RELEASED = (
    (r"model\.vision_tower\.vision_tower\.(?:vision_model\.)?", "model.vision_tower."),
    (r"vision_model\.", "model.vision_tower."),  # of a CLIP checkpoint
    (r"(?:model\.vision_tower_aux\.vision_|visual\.trunk\.)(?=stem|stages)", "AUX."),
    (r"model\.mm_projector\.0\.", "model.multi_modal_projector.linear_1."),
    (r"model\.mm_projector\.2\.", "model.multi_modal_projector.linear_2."),
    (r"(?=model\.vlm_uni_|lm_head\.)", ""),
    (r"model\.(?=embed_tokens\.|layers\.|norm\.)", "model.language_model."),
)
# Of ConvNeXt, behind AUX, from timm's names to those of transformers.
CONVNEXT = (
    (r"^AUX\.stem\.0\.", "embeddings.patch_embeddings."),
    (r"^AUX\.stem\.1\.", "embeddings.layernorm."),
    (r"^AUX\.stages\.(\d+)\.downsample\.", r"encoder.stages.\1.downsampling_layer."),
    (r"^AUX\.stages\.(\d+)\.blocks\.", r"encoder.stages.\1.layers."),
    (r"\.conv_dw\.", ".dwconv."),
    (r"\.norm\.", ".layernorm."),
    (r"\.mlp\.fc([12])\.", r".pwconv\1."),
    (r"\.gamma$", ".layer_scale_parameter"),
)


def load_released(
    folder: str | Path,
    clip: str | Path | None = None,
    convnext: str | Path | None = None,
    dtype: torch.dtype = torch.float32,
) -> MiniGeminiForConditionalGeneration:
    """The model of a released checkpoint, on the CPU and in eval mode.

    folder: the checkpoint. clip, convnext: folders of the towers, for what it lacks.
    Raises LoadError (a ValueError) for a language model that is no Llama, an HD variant, and for
    tensors that are missing or of another size than the config says, naming the first.
    """
    told = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    grid, kind = told.get("image_grid", 1), told.get("model_type", "")
    if grid != 1 or "llama" not in kind:
        raise LoadError(
            f"{folder} is of model_type={kind!r} with image_grid={grid}; allowed: a Llama whose "
            "images are not cut up, such as MGM-7B"
        )
    tensors: dict[str, Tensor] = {}
    for source in (convnext, clip, folder):  # the checkpoint's own go over those of a tower
        if source is not None:
            tensors |= renamed(_tensors(Path(source)))
    config = _config(told, tensors, str(folder))
    model: Any = MiniGeminiForConditionalGeneration(config)
    model = model.to(dtype)
    try:
        report = model.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise LoadError(f"{folder} does not fit its config: {error}") from error
    if report.missing_keys:
        raise LoadError(
            f"{folder} lacks {len(report.missing_keys)} tensors, such as {report.missing_keys[0]}; "
            "give the folders of the towers as clip and convnext"
        )
    made: MiniGeminiForConditionalGeneration = model.eval()
    return made


def processor_of(
    model: MiniGeminiForConditionalGeneration, tokenizer: Any, pixels: int = 768
) -> LlavaProcessor:
    """A stock processor whose images have so many pixels a side, and the tokens of CLIP.

    tokenizer: that of the checkpoint. Released ones have no token for images: then `<image>` is
    added to it, and to the model's embeddings a row that nobody reads.
    """
    if "<image>" not in tokenizer.get_vocab():
        tokenizer.add_tokens(["<image>"], special_tokens=True)
    token = tokenizer.convert_tokens_to_ids("<image>")
    if token >= model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(token + 1, mean_resizing=False)
    eye: Any = model.config.vision_config
    size = {"height": pixels, "width": pixels}
    images = CLIPImageProcessor(size={"shortest_edge": pixels}, crop_size=size)
    model.config.image_token_id = token
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=pixels // (eye.image_size // eye.patch_size),
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a released checkpoint, of CLIP or of OpenCLIP's ConvNeXt, by our names."""
    found = {}
    for name, tensor in tensors.items():
        for old, new in RELEASED:
            if re.match(old, name):
                ours = re.sub(f"^{old}", new, name)
                if ours.startswith("AUX."):
                    for part, other in CONVNEXT:
                        ours = re.sub(part, other, ours)
                    ours = f"model.vision_tower_aux.{ours}"
                found[ours] = tensor
                break
    return {name: tensor for name, tensor in found.items() if "position_ids" not in name}


def _tensors(folder: Path) -> dict[str, Tensor]:
    shards = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    if not shards:
        raise LoadError(f"{folder} has no weights (*.safetensors or *.bin)")
    found: dict[str, Tensor] = {}
    for shard in shards:
        safe = shard.suffix == ".safetensors"
        found |= load_file(shard) if safe else torch.load(shard, map_location="cpu")
    return found


def _config(told: Mapping[str, Any], tensors: Mapping[str, Tensor], where: str) -> MiniGeminiConfig:
    eye, fine = "model.vision_tower.", "model.vision_tower_aux.encoder.stages."
    try:
        patch = tensors[f"{eye}embeddings.patch_embedding.weight"]
        positions = tensors[f"{eye}embeddings.position_embedding.weight"]
        inner = tensors[f"{eye}encoder.layers.0.mlp.fc1.weight"]
        widths = [len(tensors[f"{fine}{stage}.layers.0.dwconv.weight"]) for stage in range(4)]
    except KeyError as error:
        raise LoadError(
            f"{where} has no {error.args[0]}; give the folders of the towers as clip and convnext"
        ) from error
    width, _, size, _ = patch.shape
    text = {**told, "model_type": "llama"}
    return MiniGeminiConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=width,
            intermediate_size=len(inner),
            num_hidden_layers=_count(tensors, rf"{re.escape(eye)}encoder\.layers\.(\d+)\."),
            num_attention_heads=width // HEAD,
            image_size=size * int((len(positions) - 1) ** 0.5),
            patch_size=size,
        ),
        aux_config=ConvNextConfig(
            hidden_sizes=widths,
            depths=[
                _count(tensors, rf"{re.escape(fine)}{stage}\.layers\.(\d+)\.") for stage in range(4)
            ],
        ),
        text_config=text,
        vision_feature_layer=told.get("mm_vision_select_layer", -2),
        image_seq_length=len(positions) - 1,
    )


def _count(names: Iterable[str], pattern: str) -> int:
    found = (re.match(pattern, name) for name in names)
    return 1 + max(int(each[1]) for each in found if each)
