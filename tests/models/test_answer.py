"""Asking a model, zipped or not."""

import vzlib
from tests import tiny
from vzlib.models.answer import prompt

QUESTION = "what is the colour of the shape ?"


def test_prompt_follows_the_chat_template_or_else_llava():
    processor = tiny.processor(image_size=48)
    assert prompt(processor, "how many ?") == "USER: <image> how many ? ASSISTANT:"
    processor.chat_template = None
    assert prompt(processor, "how many ?") == "USER: <image>\nhow many ? ASSISTANT:"


def test_answer_is_the_new_words_only():
    model, processor = tiny.llava(image_size=48, seed=2)
    stock = vzlib.answer(model, processor, tiny.image(), QUESTION, max_new_tokens=4)
    assert len(stock.split()) == 4 and set(stock.split()) <= set(tiny.WORDS)  # no prompt before
    with vzlib.zip_model(model, processor, vzlib.Budget.all(36)) as zipped:
        again = vzlib.answer(model, zipped.processor, tiny.image(), QUESTION, max_new_tokens=4)
    assert again == stock
