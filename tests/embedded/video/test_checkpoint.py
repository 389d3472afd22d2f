"""The checkpoint that ships: stock format, small, and eight frames of 257 tokens."""

import pandas as pd
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor, LlavaForConditionalGeneration

from vzlib.embedded.video.evaluate import TITLES, full_table, reduced_table
from vzlib.experiments.video.prompts import text
from vzlib.paths import CHECKPOINTS
from vzlib.scenes import clips
from vzlib.training import card

FOLDER = CHECKPOINTS / "pico-video"


def test_stock_classes_load_it_and_read_a_clip():
    model = AutoModelForImageTextToText.from_pretrained(FOLDER, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(FOLDER)
    assert type(model) is LlavaForConditionalGeneration
    clip = clips.clip(0)
    inputs = processor(
        images=[frame.image for frame in clip.frames],
        text=text("clip", clips.FRAMES, processor.image_token, "what moved ?"),
        return_tensors="pt",
    )
    assert (inputs["input_ids"] == model.config.image_token_id).sum() == 8 * 257
    assert not (inputs["input_ids"] == processor.tokenizer.unk_token_id).any()
    ids = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    said = processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert len(said.split()) == 2


def test_it_is_small_and_complete():
    files = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert sum(files.values()) <= 12e6
    assert {"README.md", "accuracy.csv", "training_curve.csv"} <= set(files)


def test_the_card_tells_what_was_measured():
    told = (FOLDER / "README.md").read_text(encoding="utf-8")
    table = pd.read_csv(FOLDER / "accuracy.csv")
    assert full_table(table.round(1)).splitlines()[2].split("|")[4] in told
    curves = card.training_curves(FOLDER / "nowhere", FOLDER, list(TITLES))
    assert curves and all(f"| {TITLES[name]} |" in told for name in curves)
    full = table[(table["method"] == "vanilla") & (table["task"] == "mean")].set_index("kind")
    assert (full["low"] > full["majority"]).all()
    assert len(reduced_table(table).splitlines()) == 2 + table.query("task == 'mean'").shape[0]


def test_the_tower_is_picos():
    own, pico = (
        load_file(CHECKPOINTS / name / "model.safetensors") for name in ("pico-video", "pico-llava")
    )
    towers = [name for name in own if "vision_tower" in name and "position" not in name]
    assert len(towers) > 100
    for name in towers:
        assert torch.equal(own[name].float(), pico[name].half().float()), name
