"""Video-LLaVA: clips of eight frames, per frame and as a whole."""

import pytest
import torch

import vzlib
from tests import families
from vzlib import Budget
from vzlib.methods import VisionZip
from vzlib.models import video_llava
from vzlib.models.shape import Shape
from vzlib.models.towers import encode

FRAMES, SIDE = 8, 40


@pytest.fixture
def made():
    return families.made("video_llava")


def clip_of(count, clips=1, words="what is left ?"):
    """Inputs of clips with so many placeholders each."""
    _, processor = families.made("video_llava")
    generator = torch.Generator().manual_seed(1)
    text = ["USER: " + "<video>" * count + f" {words} ASSISTANT:"] * clips
    pixels = torch.randn(clips, FRAMES, 3, SIDE, SIDE, generator=generator)
    ids = processor.tokenizer(text, return_tensors="pt", padding=True)
    return {**ids, "pixel_values_videos": pixels}


def test_17_tokens_of_each_of_8_frames_are_136_as_in_the_paper(made):
    model, _ = made
    with vzlib.zip_model(model, retain=136) as zipped, torch.no_grad():
        inputs = clip_of(136, clips=2)
        (features, _) = model.model.get_video_features(inputs["pixel_values_videos"]).pooler_output
        found = zipped.tokens[0]
        assert (found.places[0] // 26).bincount().tolist() == [17] * 8
        frames = inputs["pixel_values_videos"][0]
        evidence = encode(model.model.video_tower, frames)
        assert VisionZip().budget(17, has_cls=True) == Budget.retain(17) == Budget(14, 3)
        expected = VisionZip().reduce(evidence, 17, has_cls=True).tokens
        assert torch.equal(features, model.model.multi_modal_projector(expected.flatten(0, 1)))
        words = model.generate(**inputs, max_new_tokens=3, do_sample=False)
        alone = {name: value[:1] for name, value in inputs.items()}
        said = model.generate(**alone, max_new_tokens=3, do_sample=False)
        assert torch.equal(words[:1], said)
        assert torch.equal(zipped.shorten(clip_of(208))["input_ids"], alone["input_ids"])


def test_one_budget_for_a_clip_by_attention(made):
    model, _ = made
    with vzlib.zip_model(model, retain=60, share="attention", method="fastervlm") as zipped:
        inputs = clip_of(60)
        model.generate(**inputs, max_new_tokens=2, do_sample=False)
        (found,) = zipped.tokens
        scores = encode(model.model.video_tower, inputs["pixel_values_videos"][0]).scores[:, 1:]
        best = scores.flatten().argsort(descending=True)[:60]
        expected = best // 25 * 26 + best % 25 + 1
        assert torch.equal(found.places[0], expected.sort().values)


def test_all_tokens_of_a_clip_give_the_stock_logits(made):
    model, _ = made
    assert video_llava.clips(model.config, clip_of(1)) == [Shape(8, 25, 208)]
    inputs = clip_of(208, clips=2)
    with torch.no_grad():
        expected = model(**inputs).logits
        with vzlib.zip_model(model, retain=208):
            assert torch.equal(model(**inputs).logits, expected)
        with (
            vzlib.zip_model(model, retain=136),
            pytest.raises(ValueError, match="416 video placeholders in the text, but 272 visual"),
        ):
            model(**inputs)
        assert torch.equal(model(**inputs).logits, expected)
