"""Between lmms-eval's terms and ours: prompts, media, and how to generate."""

import pytest

from tests import tiny
from vzlib.lmms_eval.prompts import cut, generation, media, prompt_of
from vzlib.models.answer import prompt

ASKED = [
    {
        "role": "user",
        "content": [
            {"type": "image", "url": "a.png"},
            {"type": "text", "text": "what colour ?"},
        ],
    }
]


def test_generation_is_greedy_unless_a_temperature_is_asked_for():
    plain = {"max_new_tokens": 1024, "num_beams": 1, "do_sample": False, "pad_token_id": 7}
    assert generation({}, 7) == (plain, [])
    told = {"max_new_tokens": 16, "num_beams": 3, "temperature": 0, "top_p": 1.0, "until": "\n\n"}
    assert generation(told, 7) == (plain | {"max_new_tokens": 16, "num_beams": 3}, ["\n\n"])
    warm = {"temperature": 0.5, "top_p": 0.9, "until": ["a", "b"]}
    drawn = {"do_sample": True, "temperature": 0.5, "top_p": 0.9}
    assert generation(warm, 7) == (plain | drawn, ["a", "b"])
    assert generation(warm | {"do_sample": False}, 7) == (plain, ["a", "b"])


def test_an_answer_ends_where_the_first_of_the_ends_is():
    assert cut(" a red\n\nUSER: b", ["\n\n", "USER"]) == "a red"
    assert cut("USER a", ["\n\n", ""]) == "USER a"


def test_images_in_their_order_and_nothing_else():
    assert media(ASKED + ASKED, "t") == ["a.png", "a.png"]
    clip = [{"role": "user", "content": [{"type": "video", "url": "b"}]}]
    with pytest.raises(ValueError, match="task t shows video; --model vzlib takes images"):
        media(clip, "t")


def test_a_prompt_is_that_of_our_own_evaluation():
    processor = tiny.processor()
    assert prompt_of(processor, ASKED) == prompt(processor, "what colour ?")
    turn = "USER: <image> what colour ? "
    assert prompt_of(processor, ASKED + ASKED) == turn + turn + "ASSISTANT:"
    processor.chat_template = None
    assert prompt_of(processor, ASKED) == "USER: <image>\nwhat colour ? ASSISTANT:"
    with pytest.raises(ValueError, match="takes one question about one image"):
        prompt_of(processor, ASKED + ASKED)
