"""Questions behind one opening are judged as generating, one by one, would have answered."""

import pytest
import torch

from tests import tiny
from tests.methods.inside.conftest import LAYERS, VISUAL
from tests.models.test_inside import answer as said_by
from vzlib.evaluation.judging import judge, open_images
from vzlib.methods.fastv import FastV
from vzlib.methods.inside.schedule import Shape
from vzlib.methods.pyramid_drop import PyramidDrop
from vzlib.methods.sparsevlm import AdaptiveSparseVLM, SparseVLM
from vzlib.models.answer import prompt
from vzlib.models.shared_prefix import answered_right

SHAPE = Shape(LAYERS, VISUAL)
QUESTIONS = ["what is the colour ?", "how many blue in image ?", "what is left of the shape ?"]
METHODS = [
    None,
    FastV(2, 0.9, SHAPE),
    SparseVLM((20, 10, 5), (1, 2, 5), written_for=SHAPE),
    AdaptiveSparseVLM(3, 1, (1, 3, 4, 6), written_for=SHAPE),
    PyramidDrop((2, 4, 6), (0.5, 0.2, 0.1), SHAPE),
]


@pytest.fixture(scope="module")
def images(llava):
    model, processor = llava
    pixels = processor.image_processor(
        images=[tiny.image(seed) for seed in range(2)], return_tensors="pt"
    )["pixel_values"]
    with torch.no_grad():
        return torch.stack(list(model.model.get_image_features(pixels).pooler_output))


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("depth", [None, 0, 2])
def test_verdicts_are_those_of_generating(llava, images, method, depth):
    model, processor = llava[0], tiny.processor(image_size=96)  # its end token is changed below
    opening = open_images(model, processor, images, depth)
    for i in range(2):
        for number, question in enumerate(QUESTIONS):
            inputs = processor(
                images=tiny.image(i), text=prompt(processor, question), return_tensors="pt"
            )
            ids = said_by(model, inputs, method, max_new_tokens=3)
            said = processor.tokenizer.convert_ids_to_tokens(ids[0].tolist())
            processor.tokenizer.eos_token = said[2]  # as if it ended there
            other = next(word for word in tiny.WORDS if word != said[1])
            for answer, right in ((said[:2], True), ([said[0], other], False)):
                asked = [[(q, " ".join(answer)) for q in QUESTIONS] for _ in images]
                judged = judge(model, processor, opening, asked, method)
                assert judged[i][number].right is right
            if method is None:
                verdicts = [[one.right for one in row] for row in judged]
                assert verdicts == answered_right(model, processor, images, asked)


def test_places_of_each_question(llava, images):
    model, processor = llava
    opening = open_images(model, processor, images)
    asked = [[(question, "red") for question in QUESTIONS[:2]], [(QUESTIONS[2], "blue")]]
    judged = judge(model, processor, opening, asked, METHODS[1])
    assert [len(row) for row in judged] == [2, 1]
    kept = {tuple(one.places[-1].tolist()) for row in judged for one in row}
    assert len(kept) == 3 and all(len(places) == 14 for places in kept)
    assert [len(place) for place in judged[0][0].places] == [144] * 2 + [14] * 6
    adaptive = judge(model, processor, opening, asked, METHODS[3])
    assert len({len(one.places[1]) for row in adaptive for one in row}) == 1
    assert len({len(one.places[-1]) for row in adaptive for one in row}) > 1
    assert judge(model, processor, opening, [[], []], METHODS[1]) == [[], []]


def test_refusals(llava, images):
    model, processor = llava
    opening = open_images(model, processor, images, 0)
    with pytest.raises(ValueError, match="3 images, but 2 openings"):
        judge(model, processor, opening, [[], [], []], None)
