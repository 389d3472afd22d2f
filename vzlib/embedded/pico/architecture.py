"""The parts of pico-llava: stock transformers classes, sizes and starting weights."""

import math
from collections.abc import Sequence

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from vzlib import scenes

GRID = 24  # patches a side: 576 visual tokens, as in LLaVA-1.5
WINDOW = 12  # patches a side of the images that training starts with
FEATURE_LAYER = -2
MEAN, SPREAD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<image>", "USER:", "ASSISTANT:")

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() }}: "
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }} {% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)

VISION = CLIPVisionConfig(
    hidden_size=192,
    intermediate_size=512,
    num_hidden_layers=8,
    num_attention_heads=3,
    image_size=GRID * scenes.PATCH,
    patch_size=scenes.PATCH,
    projection_dim=192,
)


def words(new: Sequence[str] = ()) -> list[str]:
    """Every token in the order of its number: those of `vzlib.scenes`, then the `new` ones."""
    return list(dict.fromkeys([*SPECIAL, *scenes.vocabulary(), *new]))


def build_tokenizer(new: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """A word-level tokenizer over `words(new)`."""
    numbers = {word: number for number, word in enumerate(words(new))}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", numbers["<s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=["<image>"],
        padding_side="left",
    )


def build_processor(
    new: Sequence[str] = (), *, grid: int = GRID, strategy: str = "default"
) -> LlavaProcessor:
    """The processor that a stock `AutoProcessor` loads again from the checkpoint.

    new: words that its tokenizer has beside pico's. grid: patches a side of an image. strategy: of
    a stock LLaVA, "default" without the CLS token and "full" with it.
    """
    side = grid * scenes.PATCH
    return LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": side},
            crop_size={"height": side, "width": side},
            image_mean=MEAN,
            image_std=SPREAD,
        ),
        tokenizer=build_tokenizer(new),
        patch_size=scenes.PATCH,
        vision_feature_select_strategy=strategy,
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def build_tower(seed: int) -> CLIPVisionModel:
    """A CLIP tower whose attention starts local.

    Sines and cosines of the row and the column are the starting position embeddings, and every
    layer starts with equal query and key weights, so that tokens attend to those alike and near.
    """
    torch.manual_seed(seed)
    tower = CLIPVisionModel._from_config(VISION, attn_implementation="eager")
    with torch.no_grad():
        tower.embeddings.patch_embedding.weight.normal_(std=0.07)
        tower.embeddings.class_embedding.normal_(std=0.4)
        tower.embeddings.position_embedding.weight[1:] = _waves(GRID, VISION.hidden_size)
        for layer in tower.encoder.layers:
            layer.self_attn.q_proj.weight.normal_(std=0.06)
            layer.self_attn.k_proj.weight.copy_(layer.self_attn.q_proj.weight)
    return tower


def _waves(grid: int, width: int, amplitude: float = 0.4) -> Tensor:
    """Two-dimensional sine-cosine positions `[grid * grid, width]`, in raster order."""
    lengths = torch.logspace(math.log10(4), math.log10(4 * grid), width // 4)
    angles = 2 * math.pi * torch.arange(grid)[:, None] / lengths
    one = torch.cat([angles.sin(), angles.cos()], dim=1)  # [grid, width / 2]
    rows = one[:, None].expand(grid, grid, -1)
    columns = one[None].expand(grid, grid, -1)
    return amplitude * torch.cat([rows, columns], dim=-1).flatten(0, 1)


def build_llava(seed: int) -> LlavaForConditionalGeneration:
    """The whole model; its tower is to be replaced by a trained one."""
    torch.manual_seed(seed)
    tokenizer = build_tokenizer()
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=6,
        num_attention_heads=3,
        num_key_value_heads=3,
        max_position_embeddings=4096,
        initializer_range=0.05,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    config = LlavaConfig(
        vision_config=VISION,
        text_config=text,
        image_token_index=SPECIAL.index("<image>"),
        image_seq_length=GRID * GRID,
        vision_feature_layer=FEATURE_LAYER,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )
    model = LlavaForConditionalGeneration._from_config(config, attn_implementation="eager")
    depth = math.sqrt(2 * text.num_hidden_layers)
    with torch.no_grad():
        for layer in model.model.language_model.layers:
            for output in (layer.self_attn.o_proj, layer.mlp.down_proj):
                output.weight.div_(depth)
        for part in model.model.multi_modal_projector.modules():
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, std=part.in_features**-0.5)
                nn.init.zeros_(part.bias)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def encode_window(
    tower: CLIPVisionModel, pixels: Tensor, corners: Tensor, depth: int | None = None
) -> list[Tensor]:
    """Hidden states `[B, 1 + G * G, D]` of the first `depth` layers (default: all), for images
    smaller than the tower's own.

    Each image stands somewhere on the full grid: it takes the position embeddings of the window
    with the top left `corners` `[B, 2]` (row, column, in patches). Growing to the full grid then
    changes no position embedding and no distance between neighbours.
    """
    embeddings = tower.embeddings
    patches = embeddings.patch_embedding(pixels)
    steps = torch.arange(patches.shape[-1])
    rows, columns = corners[:, 0, None, None] + steps[:, None], corners[:, 1, None, None] + steps
    places = 1 + rows * GRID + columns  # [B, G, G]
    positions = embeddings.position_embedding.weight
    hidden = patches.flatten(2).transpose(1, 2) + positions[places.flatten(1)]
    first = (embeddings.class_embedding + positions[0]).expand(len(hidden), 1, -1)
    states = [tower.pre_layrnorm(torch.cat([first, hidden], dim=1))]
    for layer in tower.encoder.layers[:depth]:
        states.append(layer(states[-1], None))
    return states
