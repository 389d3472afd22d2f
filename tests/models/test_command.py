"""What a model is and answers, in print; bad input stops before it is loaded."""

import pytest

from tests import tiny
from vzlib.models import load
from vzlib.models.command import ask


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"retain": 0}, "retain=0 must be at least 1"),
        ({"image": "none.png"}, "no image file at none.png"),
        ({"question": "how many ?"}, "a question needs an image"),
    ],
)
def test_bad_input_stops_before_the_weights(monkeypatch, options, message):
    monkeypatch.setattr(load, "load", lambda *_: pytest.fail("the model was loaded"))
    with pytest.raises(ValueError, match=message):
        ask("pico", **options)


def test_what_is_printed(tmp_path, capsys):
    model, processor = tiny.llava(image_size=48)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    tiny.image().save(tmp_path / "photo.png")
    ask(str(tmp_path), image=str(tmp_path / "photo.png"), question="how many ?", retain=9)
    printed = capsys.readouterr().out
    assert "LlavaForConditionalGeneration" in printed
    assert "visual tokens    9" in printed
    assert "CLS + 7 patches + 1 contextual = 9 tokens" in printed
    assert "answer" in printed
