"""The checkpoint that ships: stock format, a real eye, small files, and a card that is measured."""

import pandas as pd
import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, LlavaForConditionalGeneration

import vzlib
from vzlib.embedded.dino.evaluate import TITLES
from vzlib.embedded.dino.tower import SHA256
from vzlib.evaluation.accuracy import answers
from vzlib.models.load import load
from vzlib.models.towers import encode
from vzlib.paths import CHECKPOINTS
from vzlib.scenes import things
from vzlib.scenes.photographs import photographs
from vzlib.scenes.things import catalogue
from vzlib.training import card

FOLDER = CHECKPOINTS / "dino-llava"


@pytest.fixture(scope="module")
def stock():
    model = AutoModelForImageTextToText.from_pretrained(FOLDER)
    return model, AutoProcessor.from_pretrained(FOLDER)


def test_it_is_a_stock_llava_of_576_tokens_that_stock_classes_load_and_we_zip(stock):
    model, processor = stock
    assert type(model) is LlavaForConditionalGeneration and model.dtype == torch.float32
    assert model.config.vision_feature_layer == [-7, -2]
    assert model.config.text_config.num_hidden_layers >= 12
    image, text = things.make(0).image, "USER: <image>\nwhich animal is there ? ASSISTANT:"
    inputs = processor(images=image, text=text, return_tensors="pt")
    assert (inputs["input_ids"] == model.config.image_token_id).sum() == 576
    ids = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    said = processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert said.strip() in catalogue.names("animal")
    with vzlib.zip_model(model, processor, retain=64) as zipped:
        inputs = zipped.processor(images=image, text=text, return_tensors="pt")
        assert (inputs["input_ids"] == model.config.image_token_id).sum() == 64
        assert model.generate(**inputs, max_new_tokens=3).shape[1] > inputs["input_ids"].shape[1]


def test_it_is_small_and_complete():
    files = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert sum(files.values()) <= 80e6 and max(files.values()) <= 50e6
    assert {"README.md", "accuracy.csv", "training_curve.csv"} <= set(files)


def test_attention_on_a_photograph_is_gathered_as_dinov2_gathers_it():
    """A third of what CLS gives to patches goes to a tenth of them at the layer that rates."""
    loaded = load("dino")
    for name, photograph in list(photographs("test").items())[:3]:
        pixels = loaded.pixels([photograph])
        scores = encode(loaded.tower, pixels, layer=loaded.layer).scores[0, 1:]
        shares = scores.sort(descending=True).values / scores.sum()
        assert shares[:58].sum() > 1 / 3, name


def test_the_card_and_the_tables_agree():
    table = pd.read_csv(FOLDER / "accuracy.csv")
    text = (FOLDER / "README.md").read_text()
    for row in table[table["method"] == "vanilla"].itertuples():
        assert f"| {row.task} | {row.n} | {row.value:.1f} (" in text
    curves = card.training_curves(FOLDER / "nowhere", FOLDER, list(TITLES))
    assert list(curves) == list(TITLES) and card.schedule(curves, TITLES) in text
    assert SHA256 in text


def test_it_answers_about_shapes_better_than_the_commonest_answer_would():
    rows = answers(load("dino"), [("vanilla", 576)], each=6, deck="scenes", progress=False)
    assert rows["score"].mean() > 0.6, rows.groupby("task")["score"].mean()
