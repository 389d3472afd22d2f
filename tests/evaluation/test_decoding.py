"""Greedy decoding behind an opening says what stock `generate` says."""

import pytest
import torch

from tests import tiny
from tests.methods.inside.conftest import LAYERS, VISUAL
from tests.methods.inside.test_prefill import PRUNING
from tests.models.test_inside import answer
from vzlib.evaluation.decoding import decode, embed_question
from vzlib.evaluation.judging import open_images
from vzlib.methods.fastv import FastV
from vzlib.models.answer import prompt as prompt_of


@pytest.mark.parametrize("method", [None, *PRUNING], ids=str)
def test_questions_about_one_image_share_its_opening(llava, method):
    model, processor = llava
    pixels = processor.image_processor(images=[tiny.image()], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        visual = torch.stack(list(model.model.get_image_features(pixels).pooler_output))
    opening = open_images(model, processor, visual)
    for question in ("what is the colour ?", "how many blue in image ?"):
        text = prompt_of(processor, question)
        inputs = processor(images=tiny.image(), text=text, return_tensors="pt")
        ids = answer(model, inputs, method, max_new_tokens=4)
        behind = embed_question(model, processor, question)
        decoded = decode(model, opening, behind, method, max_new_tokens=4)
        assert torch.equal(decoded.ids, ids) and not decoded.ended
        assert len(decoded.places) == LAYERS and len(decoded.places[0]) == VISUAL
        assert (len(decoded.places[-1]) < VISUAL) is (method is not None)
        for end in (int(ids[0, 1]), [int(ids[0, 1]), 0]):
            model.generation_config.eos_token_id = end
            try:
                decoded = decode(model, opening, behind, method, max_new_tokens=4)
            finally:
                model.generation_config.eos_token_id = None
            assert decoded.ended and decoded.ids[0, -1] == ids[0, 1]
            assert decoded.ids.shape[1] <= 2


def test_refusals(llava, prompt):
    opening = open_images(*llava, prompt.opening[:, prompt.image :])
    with pytest.raises(ValueError, match="max_new_tokens=0"):
        decode(llava[0], opening, prompt.text, FastV(), max_new_tokens=0)
