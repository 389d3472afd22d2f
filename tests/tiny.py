"""Tiny random towers, LLaVAs and processors in the format of the real ones, all offline."""

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Siglip2VisionConfig,
    Siglip2VisionModel,
    SiglipVisionConfig,
    SiglipVisionModel,
)

QUESTION_WORDS = "what is the colour of shape in image left right red blue how many"
WORDS = [*QUESTION_WORDS.split(), "USER:", "ASSISTANT:", "?", "."]
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<image>"]
# Attention far from uniform, but not so sharp that rounding errors grow in every block.
SHARPER = {"clip": 6, "siglip": 1, "siglip2": 1, "dinov2": 12, "registers": 12}
SIZE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
}


def tower(family="clip", image_size=48, patch=8, seed=0, **changes):
    """A tower in eval mode whose attention is far from uniform."""
    torch.manual_seed(seed)
    grid = {"image_size": image_size, "patch_size": patch}
    dino = {key: value for key, value in SIZE.items() if key != "intermediate_size"}
    config, kind = {
        "clip": lambda: (CLIPVisionConfig(**{**SIZE, **grid, **changes}), CLIPVisionModel),
        "siglip": lambda: (SiglipVisionConfig(**SIZE, **grid, **changes), SiglipVisionModel),
        "siglip2": lambda: (
            Siglip2VisionConfig(
                **SIZE, patch_size=patch, num_patches=(image_size // patch) ** 2, **changes
            ),
            Siglip2VisionModel,
        ),
        "dinov2": lambda: (Dinov2Config(**dino, **grid, **changes), Dinov2Model),
        "registers": lambda: (
            Dinov2WithRegistersConfig(**dino, **grid, **changes),
            Dinov2WithRegistersModel,
        ),
    }[family]()
    return sharpen(kind(config).eval(), SHARPER[family])


def tower_inputs(family="clip", image_size=48, patch=8, batch=2, seed=0):
    """(inputs of `encode`, valid or None)."""
    generator = torch.Generator().manual_seed(seed)
    if family != "siglip2":
        return (torch.randn(batch, 3, image_size, image_size, generator=generator),), None
    patches = (image_size // patch) ** 2
    pixels = torch.randn(batch, patches, 3 * patch * patch, generator=generator)
    shapes = torch.tensor(
        [[image_size // patch - i % 2, image_size // patch] for i in range(batch)]
    )
    return (pixels, shapes), torch.arange(patches) < shapes.prod(1, keepdim=True)


def sharpen(tower, factor):
    with torch.no_grad():
        for name, parameter in tower.named_parameters():
            if name.endswith(("q_proj.weight", "k_proj.weight")):
                parameter.mul_(factor)
            if name.endswith(("v_proj.weight", "register_tokens")):
                parameter.add_(0.1 * torch.randn_like(parameter))
    return tower


def tokenizer():
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", vocabulary["<s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=["<image>"],
        padding_side="left",
    )


def llava(family="clip", strategy="default", image_size=192, patch=8, seed=0, layer=-2, layers=3):
    """(model, processor): 24 x 24 = 576 patches, 4 tower blocks, 3 language model layers."""
    eye = tower(family, image_size, patch, seed)
    torch.manual_seed(seed)
    text = LlamaConfig(
        vocab_size=len(SPECIAL) + len(WORDS),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    config = LlavaConfig(
        vision_config=eye.config,
        text_config=text,
        image_token_id=SPECIAL.index("<image>"),
        vision_feature_layer=layer,
        vision_feature_select_strategy=strategy,
        image_seq_length=(image_size // patch) ** 2,
    )
    model = LlavaForConditionalGeneration(config).eval()
    model.model.vision_tower.load_state_dict(eye.state_dict())
    with torch.no_grad():  # logits that depend on the image and on every word
        for parameter in model.model.multi_modal_projector.parameters():
            parameter.mul_(10)
        for name, parameter in model.model.language_model.named_parameters():
            if "_proj" in name:
                parameter.mul_(6)
    model.generation_config.pad_token_id = 0
    model.generation_config.eos_token_id = None  # answers of the length asked for
    return model, processor(strategy, image_size, patch, cls=family not in ("siglip", "siglip2"))


def processor(strategy="default", image_size=192, patch=8, cls=True):
    return LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": image_size},
            crop_size={"height": image_size, "width": image_size},
        ),
        tokenizer=tokenizer(),
        patch_size=patch,
        vision_feature_select_strategy=strategy,
        num_additional_image_tokens=int(cls),
        chat_template=CHAT,
    )


CHAT = (
    "{% for message in messages %}{% if message['role'] == 'user' %}USER: {% else %}ASSISTANT: "
    "{% endif %}{% for part in message['content'] %}{% if part['type'] == 'image' %}<image> "
    "{% else %}{{ part['text'] }} {% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def image(seed=0, size=(230, 200)):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


QUESTIONS = [
    "USER: <image> what is the colour of the shape ? ASSISTANT:",
    "USER: <image> how many ? ASSISTANT:",
]


def batch(processor, questions=QUESTIONS, images=2):
    return processor(
        images=[image(seed) for seed in range(images)],
        text=list(questions),
        padding=True,
        return_tensors="pt",
    )
