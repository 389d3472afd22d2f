"""Bad input on the command line stops before the model is loaded."""

import pytest

from vzlib.models import command, load


@pytest.fixture(autouse=True)
def no_loading(monkeypatch):
    monkeypatch.setattr(load, "load", lambda *_: pytest.fail("the model was loaded"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--retain", "0"], "retain=0 must be at least 1"),
        (["--image", "none.png"], "no image file at none.png"),
    ],
)
def test_one_line_and_exit_code_2(capsys, arguments, message):
    assert command.main(["pico", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err == f"error: {message}\n"
    assert printed.out == ""


def test_a_question_needs_an_image(capsys):
    with pytest.raises(SystemExit):
        command.main(["pico", "--ask", "how many ?"])
    assert "--ask needs --image" in capsys.readouterr().err
