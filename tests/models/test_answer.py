"""Asking a model, zipped or not."""

import vzlib
from tests import tiny
from vzlib.models.answer import prompt


def test_prompt_follows_the_chat_template_or_else_llava():
    processor = tiny.processor(image_size=48)
    assert prompt(processor, "how many ?") == "USER: <image> how many ? ASSISTANT:"
    processor.chat_template = None
    assert prompt(processor, "how many ?") == "USER: <image>\nhow many ? ASSISTANT:"


def test_answer_is_the_new_words_only():
    model, processor = tiny.llava(image_size=48)
    stock = vzlib.answer(model, processor, tiny.image(), "how many ?", max_new_tokens=4)
    with vzlib.zip_model(model, processor, vzlib.Budget.all(36)) as zipped:
        again = vzlib.answer(model, zipped.processor, tiny.image(), "how many ?", max_new_tokens=4)
    assert again == stock
    assert stock and "USER:" not in stock
