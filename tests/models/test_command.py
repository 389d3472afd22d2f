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
        ({"method": "fastvv"}, "fastvv: unknown; did you mean fastv"),
        ({"method": "fastv(remove=0.5)"}, "did you mean removed"),
    ],
)
def test_bad_input_stops_before_the_weights(monkeypatch, options, message):
    monkeypatch.setattr(load, "load", lambda *_: pytest.fail("the model was loaded"))
    with pytest.raises(ValueError, match=message):
        ask("pico", **options)


@pytest.fixture
def folder(tmp_path):
    model, processor = tiny.llava(image_size=48)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    tiny.image().save(tmp_path / "photo.png")
    return tmp_path


@pytest.mark.parametrize(
    ("method", "said", "kept", "count"),
    [
        ("pooling", "average pooling", "9", 9),
        ("fastv", "FastV", "FastV (K = 2, R = 58.3 %): 29.00 visual tokens per layer", 36),
    ],
)
def test_any_method_answers(folder, capsys, method, said, kept, count):
    image, retain = str(folder / "photo.png"), 9 if method == "pooling" else 29
    ask(str(folder), image=image, question="how many ?", retain=retain, method=method)
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["method", said] in lines
    assert any(line[1].startswith(f"per image   {kept}") for line in lines if line[0] == "kept")
    assert any(line[0] == "visual" and line[1].endswith(f" {count}") for line in lines)
    assert any(line[0] == "answer" for line in lines)


def test_what_is_printed(folder, capsys):
    ask(str(folder), image=str(folder / "photo.png"), question="how many ?", retain=9)
    printed = capsys.readouterr().out
    assert "LlavaForConditionalGeneration" in printed
    assert "visual tokens    9" in printed
    assert "CLS + 7 patches + 1 contextual = 9 tokens" in printed
    assert "answer" in printed
