"""Questions behind one prefix are judged as greedy decoding, one by one, would have answered."""

import pytest
import torch

from tests import tiny
from vzlib.models.answer import prompt
from vzlib.models.shared_prefix import answered_right, block_mask


def test_the_mask_lets_a_question_see_the_prefix_and_itself():
    mask = block_mask(torch.tensor([[0, 0, 1, -1]]), prefix=2)[0, 0]
    seen = (mask == 0).int().tolist()
    assert seen == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 1],
    ]


@pytest.fixture(scope="module")
def parts():
    return tiny.llava()


QUESTIONS = ["what is the colour ?", "how many blue in image ?", "what is left of the shape ?"]


def test_verdicts_are_those_of_greedy_decoding(parts):
    model, processor = parts
    images = [tiny.image(seed) for seed in range(3)]
    pixels = processor.image_processor(images=images, return_tensors="pt")["pixel_values"]
    visual = torch.stack(list(model.model.get_image_features(pixels).pooler_output))
    tokenizer = processor.tokenizer
    stock_end = tokenizer.eos_token
    right = wrong = 0
    for i, image in enumerate(images):
        for question in QUESTIONS:
            inputs = processor(images=image, text=prompt(processor, question), return_tensors="pt")
            ids = model.generate(**inputs, max_new_tokens=3, do_sample=False, eos_token_id=None)
            said = tokenizer.convert_ids_to_tokens(ids[0, -3:].tolist())
            tokenizer.eos_token = said[2]  # as if the model had ended its answer there
            other = next(word for word in tiny.WORDS if word != said[1])
            asked = [[(q, " ".join(said[:2])) for q in QUESTIONS] for _ in images]
            verdicts = answered_right(model, processor, visual, asked)
            assert verdicts[i][QUESTIONS.index(question)]
            asked = [[(q, f"{said[0]} {other}") for q in QUESTIONS] for _ in images]
            assert not answered_right(model, processor, visual, asked)[i][QUESTIONS.index(question)]
            right, wrong = right + sum(map(sum, verdicts)), wrong + 9 - sum(map(sum, verdicts))
    tokenizer.eos_token = stock_end
    assert right >= 9
