"""SmolVLM: tiles between separators, each with its own part of the budget."""

import pytest
import torch

import vzlib
from tests import families, tiny
from vzlib.methods.accountant import account, account_prompts
from vzlib.models import smolvlm
from vzlib.models.answer import prompt
from vzlib.models.shape import Shape

RETAIN = 12
SIZES = ((100, 100), (230, 90), (60, 170))
WORDS = ("what is left ?", "how many", "is ?")
EACH = 16  # tokens of a tile


def inputs_of(processor, sizes=SIZES):
    """Images of a batch as the stock processor wants them, in a list for each prompt."""
    images = [[tiny.image(number, size)] for number, size in enumerate(sizes)]
    texts = [prompt(processor, words) for words in WORDS[: len(sizes)]]
    return processor(images=images, text=texts, return_tensors="pt", padding=True)


def words_of(processor, row):
    return processor.tokenizer.convert_ids_to_tokens(row)


def test_images_are_told_apart_by_what_stands_before_their_tiles():
    model, processor = families.made("smolvlm")
    stock = inputs_of(processor)
    found = smolvlm.shapes(model.config, stock)
    tiles = (stock["pixel_values"] != 0).flatten(2).any(-1).sum(1).tolist()
    assert [shape.views for shape in found] == tiles and len(set(tiles)) > 1
    assert found[0] == Shape(tiles[0], EACH, EACH * tiles[0], apart=True)
    both = processor(
        images=[tiny.image(0, SIZES[0]), tiny.image(1, SIZES[1])],
        text=" and ".join(prompt(processor, words) for words in WORDS[:2]),
        return_tensors="pt",
    )
    assert smolvlm.shapes(model.config, both) == found[:2]
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
        assert inputs_of(zipped.processor)["num_tiles"].tolist() == tiles
    short = {"input_ids": stock["input_ids"].clone()}
    short["input_ids"][0, (short["input_ids"][0] == 4).nonzero()[0]] = 5
    with pytest.raises(ValueError, match=r"15 image placeholders in a row, but a tile has 16"):
        smolvlm.shapes(model.config, short)


@pytest.mark.parametrize("retain", [RETAIN, 3])
def test_separators_stay_and_each_tile_stands_behind_its_own(retain):
    model, processor = families.made("smolvlm")
    stock = inputs_of(processor, SIZES[:1])
    with vzlib.zip_model(model, processor, retain=retain, method="divprune") as zipped:
        short = inputs_of(zipped.processor, SIZES[:1])
        with torch.no_grad():
            model(**short)
            whole = model.model.get_image_features.stock(model.model, stock["pixel_values"])
        (found,) = zipped.tokens
    texts = [words_of(processor, each["input_ids"][0]) for each in (stock, short)]
    apart = [[word for word in text if word != "<image>"] for text in texts]
    assert apart[0] == apart[1] and "<row_2_col_2>" in apart[1]
    runs = [text.split().count("<image>") for text in " ".join(texts[1]).split("<fake")][1:-1]
    views = found.places[0] // EACH
    assert runs == views.bincount(minlength=5).tolist() and sum(runs) == retain
    assert torch.equal(found.places, found.places.sort().values)  # tile after tile
    assert torch.equal(found.tokens[0], whole.pooler_output[0][found.places[0]])


def test_a_token_is_rated_by_what_its_four_patches_receive_from_the_tile():
    model, processor = families.made("smolvlm")
    tower, before = model.model.vision_model, model.model.vision_model.config._attn_implementation
    with vzlib.zip_model(model, processor, retain=1, method="visionzip(contextual=0)") as zipped:
        inputs = inputs_of(zipped.processor, SIZES[:1])
        with torch.no_grad():
            model(**inputs)
        (found,) = zipped.tokens
    tower.set_attn_implementation("eager")
    with torch.no_grad():
        maps = tower(inputs["pixel_values"][0, :1], output_attentions=True).attentions[-1]
    tower.set_attn_implementation(before)
    received = maps.mean((1, 2)).view(8, 8)
    sums = received.unflatten(0, (4, 2)).unflatten(2, (4, 2)).sum((1, 3)).flatten()
    assert int(found.places[0, 0]) == int(sums.argmax())  # the first tile has the one token


def test_the_accountant_counts_separators_as_text():
    model, processor = families.made("smolvlm")
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
        short = inputs_of(zipped.processor, SIZES[:1])
    (spent,), length = account_prompts(model, short), short["input_ids"].shape[1]
    text = length - RETAIN
    tags = [word for word in words_of(processor, short["input_ids"][0]) if word.startswith("<")]
    assert spent.at_input == RETAIN and len(tags) == RETAIN + 1 + 2 * 5 + 1  # <s>, tags, the end
    assert spent == account(model, text=text, visual=RETAIN)


def test_what_cannot_be_is_refused():
    model, processor = families.made("smolvlm")
    with pytest.raises(ValueError, match="share='attention': a SmolVLMModel reads each view betw"):
        vzlib.zip_model(model, processor, retain=RETAIN, share="attention")
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
        inputs = inputs_of(zipped.processor, SIZES[:1])
        with pytest.raises(ValueError, match=r"5 tiles, but num_tiles=\[2\]"):
            model(**{**inputs, "num_tiles": [2]})
        inputs["pixel_attention_mask"][0, 0, :4] = 0
        with pytest.raises(ValueError, match="hides a part of a tile; allowed: whole tiles"):
            model(**inputs)
        with pytest.raises(
            ValueError, match="vision_feature_layer=-2: SmolVLMModel reads the last"
        ):
            smolvlm.layer(model.model, -2)
