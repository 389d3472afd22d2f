"""LLaVA-OneVision: single images in tiles, several images, clips."""

import pytest
import torch

import vzlib
from tests import families, tiny
from vzlib.models import llava_onevision
from vzlib.models.shape import Shape

RETAIN = 12


@pytest.fixture
def made():
    return families.made("llava_onevision")


def a_clip(model, processor, retain=None, clips=1, frames=4, words="what is left ?"):
    """Inputs of clips, as a video processor would give them."""
    generator = torch.Generator().manual_seed(frames)
    pixels = torch.randn(clips, frames, 3, 40, 40, generator=generator)
    (one, *_) = llava_onevision.clips(model.config, {"pixel_values_videos": pixels})
    count = one.stock if retain is None else retain
    text = ["USER: " + "<video>" * count + f" {words} ASSISTANT:"] * clips
    ids = processor.tokenizer(text, return_tensors="pt", padding=True)
    return {**ids, "pixel_values_videos": pixels}


def test_what_the_stock_model_costs_is_known_of_every_shape_and_number_of_images(made):
    model, processor = made
    for sizes in ([(100, 100)], [(40, 200)], [(33, 90)], [(121, 119)], [(90, 40), (100, 100)]):
        images = [tiny.image(number, size) for number, size in enumerate(sizes)]
        text = " and ".join(["<image>"] * len(sizes))
        inputs = processor(images=[images], text=[text], return_tensors="pt")
        found = llava_onevision.shapes(model.config, inputs)
        assert sum(shape.stock for shape in found) == (inputs["input_ids"] == 4).sum()
        with torch.no_grad():
            features = model.get_image_features(
                inputs["pixel_values"],
                inputs["image_sizes"],
                batch_num_images=inputs["batch_num_images"],
            ).pooler_output
        assert [len(each) for each in features] == [shape.stock for shape in found]
    assert found == [Shape(1, 25, 26)] * 2  # several in a prompt: one view each, and a newline
    # 3 x 3 tiles are 225 tokens, of which the stock model makes 10 x 10 and 10 newlines.
    (large,) = llava_onevision.shapes(model.config, {"image_sizes": [(120, 120)]})
    assert large == Shape(10, 25, 25 + 10 * 11)


@pytest.mark.parametrize("share", ["evenly", "attention"])
def test_several_images_in_a_prompt_cost_the_budget_each(made, share):
    model, processor = made
    with vzlib.zip_model(model, processor, retain=RETAIN, share=share) as zipped:
        images = [tiny.image(number, (100, 60 + 40 * number)) for number in range(3)]
        text = ["<image> and <image> what ?", "<image> how many ?"]
        inputs = zipped.processor(
            images=[images[:2], images[2:]], text=text, return_tensors="pt", padding=True
        )
        assert (inputs["input_ids"] == 4).sum(1).tolist() == [2 * RETAIN, RETAIN]
        words = model.generate(**inputs, max_new_tokens=3, do_sample=False)
        assert [len(each.sources[0]) for each in zipped.tokens][:2] == [25, 25]
        alone = zipped.processor(images=[images[2]], text=text[1:], return_tensors="pt")
        expected = model.generate(**alone, max_new_tokens=3, do_sample=False)
        assert torch.equal(words[1, -3:], expected[0, -3:])


def test_a_clip_costs_its_budget_shared_among_its_frames(made):
    model, processor = made
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped, torch.no_grad():
        inputs = a_clip(model, processor, RETAIN, clips=2)
        features = model.get_video_features(inputs["pixel_values_videos"]).pooler_output
        assert features.shape == (2, RETAIN, 64)
        frames = zipped.tokens[0].places[0] // 25
        assert frames.bincount().tolist() == [3, 3, 3, 3]
        assert torch.equal(frames, frames.sort().values)
        words = model.generate(**inputs, max_new_tokens=3, do_sample=False)
        alone = {name: value[:1] for name, value in inputs.items()}
        expected = model.generate(**alone, max_new_tokens=3, do_sample=False)
        assert torch.equal(words[:1], expected)
        short = zipped.shorten(a_clip(model, processor, clips=2))
        assert all(torch.equal(short[name], value) for name, value in inputs.items())
    with vzlib.zip_model(model, processor, retain=RETAIN, share="attention") as zipped:
        model.get_video_features(inputs["pixel_values_videos"])
        counts = [(each.places[0] // 25).bincount(minlength=4) for each in zipped.tokens]
        assert all(int(each.sum()) == RETAIN for each in counts)
        assert any(len(each.unique()) > 1 for each in counts)


def test_a_clip_with_all_its_tokens_gives_the_stock_logits(made):
    model, processor = made
    inputs = a_clip(model, processor, frames=3)
    assert (inputs["input_ids"] == model.config.video_token_id).sum() == 3 * 9 + 1
    with torch.no_grad():
        expected = model(**inputs).logits
        with vzlib.zip_model(model, processor, retain=28) as zipped:
            assert torch.equal(model(**inputs).logits, expected)
            assert zipped.tokens == [None]
            # A turn later the clip is in the cache.
            first = model.generate(**inputs, max_new_tokens=2, return_dict_in_generate=True)
            more = torch.cat([first.sequences, first.sequences[:, -1:]], dim=1)
            again = model.generate(
                input_ids=more,
                attention_mask=torch.ones_like(more),
                past_key_values=first.past_key_values,
                max_new_tokens=2,
            )
            assert again.shape[1] == more.shape[1] + 2


@pytest.mark.parametrize("method", ["divprune", "hiprune", "pooling", "tome", "cdpruner"])
def test_methods_reduce_frames(made, method):
    model, processor = made
    for retain in (1, 9, 30):
        with vzlib.zip_model(model, processor, retain=retain, method=method):
            inputs = a_clip(model, processor, retain)
            said = model.generate(**inputs, max_new_tokens=2, do_sample=False)
            assert said.shape[1] == inputs["input_ids"].shape[1] + 2


def test_placeholders_of_a_clip_are_those_that_it_costs(made):
    model, processor = made
    pixels = torch.zeros(1, 4, 3, 40, 40)
    assert processor.replace_video_token({"pixel_values_videos": pixels}, 0) == "<video>" * 37
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
        given = {"pixel_values_videos": pixels}
        assert zipped.processor.replace_video_token(given, 0) == "<video>" * RETAIN
        with pytest.raises(ValueError, match="37 video placeholders in the text, but 12 visual"):
            model(**a_clip(model, processor))


IMAGES_ALONE = ["llava", *families.MADE.keys() - {"llava_onevision", "video_llava"}]


@pytest.mark.parametrize("family", sorted(IMAGES_ALONE))
def test_a_video_given_to_a_family_that_reduces_images_is_refused(family):
    made = tiny.llava(image_size=48) if family == "llava" else families.made(family)
    with vzlib.zip_model(*made, retain=RETAIN) as zipped:  # noqa: SIM117
        with pytest.raises(ValueError, match=r"videos given to the .*Processor .* allowed: images"):
            zipped.processor(videos=torch.zeros(4, 3, 40, 40), text="what ?")
