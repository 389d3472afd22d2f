"""What images cost in every family, at the real sizes, and that the README tells it."""

import re

import pytest
import torch
from transformers import (
    CLIPVisionConfig,
    InternVLConfig,
    LlavaConfig,
    LlavaNextConfig,
    LlavaOnevisionConfig,
    Qwen2_5_VLConfig,
    Qwen3VLConfig,
    SiglipVisionConfig,
    SmolVLMConfig,
    VideoLlavaConfig,
)

import vzlib
from tests import families, tiny
from vzlib import BudgetError
from vzlib.methods.accountant import account_prompts
from vzlib.models import (
    internvl,
    llava,
    llava_next,
    llava_onevision,
    mini_gemini,
    qwen_vl,
    smolvlm,
    video_llava,
)
from vzlib.models.answer import prompt
from vzlib.models.views import Budgeted, check_budget
from vzlib.paths import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
EYE = {"image_size": 336, "patch_size": 14}
TILES = [[rows * 384, columns * 384] for rows in range(1, 7) for columns in range(1, 7)]
NEXT = LlavaNextConfig(vision_config=CLIPVisionConfig(**EYE))
ONEVISION = LlavaOnevisionConfig(
    vision_config=SiglipVisionConfig(image_size=384, patch_size=14), image_grid_pinpoints=TILES
)
VIDEO = VideoLlavaConfig(vision_config=CLIPVisionConfig(image_size=224, patch_size=14))
GEMINI = LlavaConfig(vision_config=CLIPVisionConfig(**EYE))
SMOL = SmolVLMConfig(vision_config={"image_size": 384, "patch_size": 14}, scale_factor=3)
CLIP = {"pixel_values_videos": torch.empty(1, 8, 3, 384, 384, device="meta")}


def patches(config, height, width):
    side = config.vision_config.patch_size
    return qwen_vl.shapes(config, {"image_grid_thw": [[1, height // side, width // side]]})[0]


def of_size(module, config, height, width):
    return module.shapes(config, {"image_sizes": [[height, width]]})[0]


SHOWN = {  # family and what is shown: shape, largest image, way to share
    ("LLaVA-NeXT", "672 x 672"): (of_size(llava_next, NEXT, 672, 672), llava_next.largest(NEXT)),
    ("LLaVA-NeXT", "336 x 1008"): (of_size(llava_next, NEXT, 336, 1008), llava_next.largest(NEXT)),
    ("LLaVA-NeXT", "as released", "672 x 672"): (
        of_size(llava_next, NEXT, 672, 672), llava_next.largest(NEXT), "released",
    ),
    ("LLaVA-NeXT", "as released", "336 x 672"): (
        of_size(llava_next, NEXT, 336, 672), llava_next.largest(NEXT), "released",
    ),
    ("LLaVA-OneVision", "768 x 768"): (of_size(llava_onevision, ONEVISION, 768, 768), None),
    ("LLaVA-OneVision", "one of several"): (
        llava_onevision.shapes(
            ONEVISION, {"image_sizes": [[768, 768]] * 2, "batch_num_images": [2]}
        )[0],
        None,
    ),
    ("LLaVA-OneVision", "clip of 8 frames"): (llava_onevision.clips(ONEVISION, CLIP)[0], None),
    ("Video-LLaVA", "clip of 8 frames"): (video_llava.clips(VIDEO, CLIP)[0], None),
    ("Mini-Gemini", "any image"): (mini_gemini.largest(GEMINI), mini_gemini.largest(GEMINI)),
    ("InternVL3", "one tile"): (internvl.shapes(InternVLConfig(), {"num_tiles": [1]})[0], None),
    ("InternVL3", "six tiles and the whole"): (
        internvl.shapes(InternVLConfig(), {"num_tiles": [7]})[0], None,
    ),
    ("SmolVLM2", "whole image alone"): (smolvlm.shapes(SMOL, {"num_tiles": [1]})[0], None),
    ("SmolVLM2", "3 x 4 tiles and the whole"): (smolvlm.shapes(SMOL, {"num_tiles": [13]})[0], None),
    ("Qwen2.5-VL", "672 x 672"): (patches(Qwen2_5_VLConfig(), 672, 672), None),
    ("Qwen2.5-VL", "336 x 672"): (patches(Qwen2_5_VLConfig(), 336, 672), None),
    ("Qwen3-VL", "672 x 672"): (patches(Qwen3VLConfig(), 672, 672), None),
}  # fmt: skip


def spent(shape, largest, share, retain):
    try:
        check_budget(retain, share, largest)
    except BudgetError:
        return "refused"
    budgeted = Budgeted(retain, share, None if largest is None else largest.views)
    return str(budgeted.cost(shape))


def rows():
    """Of the README's table: family, checkpoint or way, what is shown, all, three budgets."""
    family = ""
    lines = README.split("| family | a checkpoint |")[1].split("\n\n")[0].splitlines()[2:]
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        family = cells[0] or family
        yield [family, *cells[1:]]


def test_the_readme_tells_what_images_cost():
    told = {}
    for family, where, what, *counts in rows():
        key = (family, where, what) if where == "as released" else (family, what)
        told[key] = counts
        assert where in ("", "as released") or re.fullmatch(r"`[\w-]+/[\w.-]+`", where)
    for key, (shape, largest, *share) in SHOWN.items():
        budgets = (spent(shape, largest, *(share or ["evenly"]), each) for each in (64, 160, 640))
        assert told[key] == [str(shape.stock), *budgets], key
    assert told.keys() - SHOWN.keys() == {("LLaVA-1.5", "any image")}
    one = llava.largest(LlavaConfig(vision_config=CLIPVisionConfig(**EYE)))
    assert told["LLaVA-1.5", "any image"] == [str(one.stock), "64", "160", "refused"]


@pytest.mark.parametrize("family", families.MADE)
def test_the_accountant_counts_what_a_processor_made(family):
    model, processor = families.made(family)
    layers = model.config.get_text_config().num_hidden_layers
    with vzlib.zip_model(model, processor, retain=20) as zipped:
        texts = [prompt(zipped.processor, words) for words in ("what is left ?", "how many")]
        images = [tiny.image(0, (100, 100)), tiny.image(1, (230, 90))]
        given = {"text": texts, "images": images, "return_tensors": "pt", "padding": True}
        short = account_prompts(model, zipped.processor(**given))
        whole = account_prompts(model, processor(**given))
    assert [each.by_layer for each in short] == [(20,) * layers] * 2
    stock = processor(**given)
    is_image = stock["input_ids"] == model.config.image_token_id
    assert [each.at_input for each in whole] == is_image.sum(1).tolist()
    assert all(less.flops < more.flops for less, more in zip(short, whole, strict=True))
    # Separators count as text: the same prompt without padding costs the same.
    alone = zipped.processor(text=texts[1], images=images[1], return_tensors="pt")
    assert account_prompts(model, alone) == short[1:]
    words = zipped.processor.tokenizer("how many", return_tensors="pt")
    with pytest.raises(ValueError, match="visual=0 at least 1"):
        account_prompts(model, words)


def test_the_accountant_counts_what_the_readme_tells_of_images_of_real_size(monkeypatch):
    """Where narrow models of the real geometry are at hand: processors make the prompts."""
    monkeypatch.setattr(families, "VIEW", 336)
    monkeypatch.setattr(families, "PATCH", 14)
    made = {
        "LLaVA-1.5": tiny.llava(),
        "LLaVA-NeXT": families.llava_next(),
        "Mini-Gemini": families.mini_gemini(),
    }

    def counted(model, processor, size):
        text, image = prompt(processor, "how many"), tiny.image(size=size)
        (spent,) = account_prompts(model, processor(text=text, images=image, return_tensors="pt"))
        return str(spent.at_input)

    checked = 0
    for family, where, what, *told in rows():
        if family not in made:
            continue
        model, processor = made[family]
        size = tuple(map(int, reversed(re.findall(r"\d+", what)))) or (300, 200)
        share = "released" if where == "as released" else "evenly"
        found = [counted(model, processor, size)]
        for retain in (64, 160, 640):
            try:
                with vzlib.zip_model(model, processor, retain=retain, share=share) as zipped:
                    found.append(counted(model, zipped.processor, size))
            except BudgetError:
                found.append("refused")
        assert found == told, (family, what, where)
        checked += len(found)
    assert checked == 6 * 4
