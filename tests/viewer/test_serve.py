"""What `vzlib view` says before anything is served."""

import importlib.util

import pytest

from vzlib.__main__ import main
from vzlib.viewer import serve


@pytest.fixture
def gradio(monkeypatch):
    """Function: whether gradio is installed, from its call on."""

    def installed(there):
        found = importlib.util.find_spec("json") if there else None
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)

    return installed


def test_without_gradio_it_says_the_one_command_that_helps(gradio, capsys):
    gradio(False)
    assert main(["view"]) == 2
    assert capsys.readouterr().err == "vzlib view needs gradio: pip install 'vzlib[viewer]'\n"


def test_a_model_that_there_is_not_is_said_before_anything_is_served(gradio, capsys):
    gradio(True)
    assert main(["view", "nowhere"]) == 2
    assert "'nowhere' is neither" in capsys.readouterr().err


def test_without_any_model_it_says_what_to_name(gradio, monkeypatch):
    gradio(True)
    monkeypatch.setattr(serve, "embedded", list)
    with pytest.raises(ValueError, match="name a checkpoint folder"):
        serve.view()
