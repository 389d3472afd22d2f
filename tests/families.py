"""Tiny random models of every family that can be zipped, with processors, all offline."""

import functools
import itertools

import torch
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    CLIPImageProcessorPil,
    ConvNextConfig,
    GotOcr2ImageProcessorPil,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVisionConfig,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessorPil,
    LlavaOnevisionProcessor,
    LlavaProcessor,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Config,
    Qwen2VLImageProcessorPil,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessorPil,
    SmolVLMProcessor,
    VideoLlavaConfig,
    VideoLlavaForConditionalGeneration,
    VideoLlavaProcessor,
)
from transformers.video_processing_utils import VideoProcessorMixin

from tests import tiny
from vzlib.models.mini_gemini_model import MiniGeminiConfig, MiniGeminiForConditionalGeneration


class NoVideos(VideoProcessorMixin):
    """Stands for a video processor: every one needs torchvision, even to be loaded."""

    model_input_names = ()
    merge_size, num_frames, fps = 2, 8, 1

    def __init__(self, **_):
        pass


class OfImages:
    """A processor that takes what stands for a video processor."""

    def check_argument_for_proper_class(self, name, argument):
        return type(argument)


class OnevisionProcessor(OfImages, LlavaOnevisionProcessor):
    pass


class VideoProcessor(OfImages, VideoLlavaProcessor):
    pass


class VLProcessor(OfImages, InternVLProcessor):
    pass


class Qwen25Processor(OfImages, Qwen2_5_VLProcessor):
    pass


class SmolProcessor(OfImages, SmolVLMProcessor):
    """Takes the images of a batch one after the other, as others do; the stock one by prompt."""

    def prepare_inputs_layout(self, images=None, text=None, **others):
        if isinstance(text, list) and isinstance(images, list) and not isinstance(images[0], list):
            left = iter(images)
            images = [[*itertools.islice(left, each.count("<image>"))] for each in text]
            images[-1] += left
        return super().prepare_inputs_layout(images=images, text=text, **others)


class Qwen3Processor(OfImages, Qwen3VLProcessor):
    pass


VIEW, PATCH = 48, 8  # 36 patches in a view
TEXT = {
    "vocab_size": len(tiny.SPECIAL) + len(tiny.WORDS),
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def awake(model):
    """In eval mode, with logits that depend on the image and on every word."""
    with torch.no_grad():
        for name, parameter in model.model.named_parameters():
            if ("language_model" in name or "text_model" in name) and "_proj" in name:
                parameter.mul_(6)
            if "multi_modal_projector" in name or "connector" in name:
                parameter.mul_(10)
    model.generation_config.pad_token_id = 0
    model.generation_config.eos_token_id = None
    return model.eval()


def llava_next(tower="clip", strategy="default"):
    """Tiles of 48 pixels, in the five arrangements of the real one."""
    eye = tiny.tower(tower, VIEW, PATCH)
    torch.manual_seed(0)
    rows_and_columns = [[1, 2], [2, 1], [2, 2], [3, 1], [1, 3]]
    pinpoints = [[rows * VIEW, columns * VIEW] for rows, columns in rows_and_columns]
    config = LlavaNextConfig(
        vision_config=eye.config,
        text_config=LlamaConfig(**TEXT),
        image_token_id=tiny.SPECIAL.index("<image>"),
        vision_feature_layer=-2,
        vision_feature_select_strategy=strategy,
        image_grid_pinpoints=pinpoints,
    )
    model = LlavaNextForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(eye.state_dict())
    processor = LlavaNextProcessor(
        image_processor=LlavaNextImageProcessorPil(
            size={"shortest_edge": VIEW},
            crop_size={"height": VIEW, "width": VIEW},
            image_grid_pinpoints=pinpoints,
        ),
        tokenizer=tiny.tokenizer(),
        patch_size=PATCH,
        vision_feature_select_strategy=strategy,
        num_additional_image_tokens=int(tower == "clip"),
        chat_template=tiny.CHAT,
    )
    return awake(model), processor


def llava_onevision():
    """Tiles of 40 pixels, 5 x 5 tokens each, in up to four of them; at most three count in full."""
    size, patch = 40, 8
    eye = tiny.tower("siglip", size, patch, vision_use_head=False)
    torch.manual_seed(0)
    words = tiny.tokenizer()
    words.add_special_tokens({"additional_special_tokens": ["<video>"]})
    sides = range(1, 4)
    pinpoints = [[rows * size, columns * size] for rows in sides for columns in sides]
    config = LlavaOnevisionConfig(
        vision_config=eye.config,
        text_config=Qwen2Config(**{**TEXT, "vocab_size": len(words)}),
        image_token_id=words.convert_tokens_to_ids("<image>"),
        video_token_id=words.convert_tokens_to_ids("<video>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_4",
        image_grid_pinpoints=pinpoints,
    )
    model = LlavaOnevisionForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(eye.state_dict())
    processor = OnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessorPil(
            size={"height": size, "width": size}, image_grid_pinpoints=pinpoints
        ),
        tokenizer=words,
        video_processor=NoVideos(),
        num_image_tokens=(size // patch) ** 2,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_4",
        chat_template=tiny.CHAT,
    )
    return awake(model), processor


def video_llava():
    """Frames of 40 pixels, 25 patches and a CLS token each."""
    size, patch = 40, 8
    eye = tiny.tower("clip", size, patch)
    torch.manual_seed(0)
    words = tiny.tokenizer()
    words.add_special_tokens({"additional_special_tokens": ["<video>"]})
    config = VideoLlavaConfig(
        vision_config=eye.config,
        text_config=LlamaConfig(**{**TEXT, "vocab_size": len(words)}),
        image_token_id=words.convert_tokens_to_ids("<image>"),
        video_token_id=words.convert_tokens_to_ids("<video>"),
        image_seq_length=25,
        video_seq_length=8 * 26,
    )
    model = VideoLlavaForConditionalGeneration(config)
    model.model.image_tower.load_state_dict(eye.state_dict())
    model.model.video_tower.load_state_dict(tiny.tower("clip", size, patch, seed=1).state_dict())
    processor = VideoProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": size}, crop_size={"height": size, "width": size}
        ),
        video_processor=NoVideos(),
        tokenizer=words,
        patch_size=patch,
        vision_feature_select_strategy="default",
        chat_template=tiny.CHAT,
    )
    return awake(model), processor


def internvl(**changes):
    """Tiles of 8 x 8 patches, which are 16 tokens; up to four of them and a thumbnail."""
    torch.manual_seed(0)
    words = tiny.tokenizer()
    names = {"start_image_token": "<img>", "end_image_token": "</img>",
             "context_image_token": "<IMG_CONTEXT>", "video_token": "<video>"}  # fmt: skip
    words.add_special_tokens({"additional_special_tokens": list(names.values())})
    for name, token in names.items():
        setattr(words, name, token)
        setattr(words, f"{name}_id", words.convert_tokens_to_ids(token))
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(
            **tiny.SIZE, image_size=(32, 32), patch_size=(4, 4), **changes
        ).to_dict(),
        text_config=Qwen2Config(**{**TEXT, "vocab_size": len(words)}).to_dict(),
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
    )
    model = InternVLForConditionalGeneration(config)
    with torch.no_grad():
        for name, parameter in model.model.vision_tower.named_parameters():
            if name.endswith(("cls_token", "position_embeddings")):
                parameter.copy_(torch.randn_like(parameter))
            if name.endswith(("q_proj.weight", "k_proj.weight")):
                parameter.mul_(12)
            if "lambda" in name:
                parameter.fill_(1)
    processor = VLProcessor(
        image_processor=GotOcr2ImageProcessorPil(
            size={"height": 32, "width": 32}, crop_to_patches=True, min_patches=1, max_patches=4
        ),
        tokenizer=words,
        video_processor=NoVideos(),
        image_seq_length=16,
        chat_template=tiny.CHAT.replace("<image>", "<IMG_CONTEXT>"),
    )
    return awake(model), processor


def mini_gemini(width=32):
    """36 CLIP tokens of 48 pixels, each with a window of 4 x 4 features of 96 pixels."""
    heads = {} if width == 32 else {"hidden_size": width, "num_attention_heads": width // 64}
    eye = tiny.tower("clip", VIEW, PATCH, **heads)
    torch.manual_seed(0)
    config = MiniGeminiConfig(
        vision_config=eye.config,
        aux_config=ConvNextConfig(hidden_sizes=[8, 12, 16, 24], depths=[1, 1, 2, 1]),
        text_config=LlamaConfig(**TEXT),
        image_token_id=tiny.SPECIAL.index("<image>"),
        image_seq_length=36,
    )
    model = MiniGeminiForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(eye.state_dict())
    with torch.no_grad():
        for name, parameter in model.model.named_parameters():
            if "vlm_uni" in name or "aux" in name:  # that mining counts, and chooses
                parameter.add_(torch.randn_like(parameter) * 0.3)
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": 2 * VIEW}, crop_size={"height": 2 * VIEW, "width": 2 * VIEW}
        ),
        tokenizer=tiny.tokenizer(),
        patch_size=2 * PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=tiny.CHAT,
    )
    return awake(model), processor


def smolvlm(size=32):
    """Tiles of 8 x 8 patches, which are 16 tokens; up to four of them and the whole."""
    torch.manual_seed(0)
    words = tiny.tokenizer()
    tags = [f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2)]
    more = ["<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<video>", *tags]
    words.add_special_tokens({"additional_special_tokens": more})
    config = SmolVLMConfig(
        vision_config={**tiny.SIZE, "image_size": size, "patch_size": 4},
        text_config={**TEXT, "model_type": "llama", "vocab_size": len(words)},
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    model = SmolVLMForConditionalGeneration(config)
    tiny.sharpen(model.model.vision_model, 6)
    processor = SmolProcessor(
        image_processor=SmolVLMImageProcessorPil(
            size={"longest_edge": 2 * size}, max_image_size={"longest_edge": size}
        ),
        tokenizer=words,
        video_processor=NoVideos(),
        image_seq_len=(size // 8) ** 2,
        chat_template=tiny.CHAT,
    )
    return awake(model), processor


def qwen(version):
    """Patches of 4 pixels, merged 2 x 2, windows of 4 x 4; images of 16 to 64 tokens."""
    torch.manual_seed(0)
    special = ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]
    words = tiny.tokenizer()
    words.add_special_tokens({"additional_special_tokens": special})
    names = ("image", "video", "vision_start", "vision_end")
    ids = {
        f"{name}_token_id": words.convert_tokens_to_ids(token)
        for name, token in zip(names, special, strict=True)
    }
    text = {**TEXT, "vocab_size": len(words), "hidden_size": 48, "num_attention_heads": 4,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 2, 2],
                                "rope_theta": 10000.0}}  # fmt: skip
    eye = {"depth": 4, "hidden_size": 32, "num_heads": 4, "intermediate_size": 64, "patch_size": 4,
           "spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 48}  # fmt: skip
    if version == "2.5":
        config = Qwen2_5_VLConfig(
            vision_config={**eye, "window_size": 16, "fullatt_block_indexes": [1, 3]},
            text_config=text,
            **ids,
        )
        model, kind = Qwen2_5_VLForConditionalGeneration(config), Qwen25Processor
    else:
        text |= {"head_dim": 12}
        config = Qwen3VLConfig(
            vision_config={**eye, "num_position_embeddings": 64,
                           "deepstack_visual_indexes": [0, 2]},
            text_config=text,
            **ids,
        )  # fmt: skip
        model, kind = Qwen3VLForConditionalGeneration(config), Qwen3Processor
    with torch.no_grad():
        for name, parameter in model.model.visual.named_parameters():
            if "qkv.weight" in name:
                parameter.mul_(12)
            if "merger" in name and "weight" in name:
                parameter.mul_(4)
    processor = kind(
        image_processor=Qwen2VLImageProcessorPil(
            patch_size=4, merge_size=2, temporal_patch_size=2,
            size={"shortest_edge": 32 * 32, "longest_edge": 64 * 64},
        ),
        tokenizer=words,
        video_processor=NoVideos(),
        chat_template=tiny.CHAT.replace("<image>", "<|vision_start|><|image_pad|><|vision_end|>"),
    )  # fmt: skip
    return awake(model), processor


MADE = {
    "llava_next": llava_next,
    "llava_onevision": llava_onevision,
    "video_llava": video_llava,
    "internvl": internvl,
    "mini_gemini": mini_gemini,
    "smolvlm": smolvlm,
    "qwen2_5_vl": functools.partial(qwen, "2.5"),
    "qwen3_vl": functools.partial(qwen, "3"),
}


@functools.cache
def made(family):
    """(model, processor) of a family: do not change them."""
    return MADE[family]()


def saved_and_loaded(family, folder):
    """The model and its processor by way of a folder in the hub's format."""
    model, processor = made(family)
    model.save_pretrained(folder)
    loaded = AutoModelForImageTextToText.from_pretrained(folder).eval()
    loaded.generation_config = model.generation_config
    if not isinstance(processor, OfImages):
        processor.save_pretrained(folder)
        processor = AutoProcessor.from_pretrained(folder)
    return loaded, processor
