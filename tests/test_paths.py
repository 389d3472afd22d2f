"""Folders that people name: homes are found, and a relative one is one folder."""

from pathlib import Path

import pytest

from vzlib import results
from vzlib.paths import RESULTS, absolute, from_environment


def test_a_folder_of_the_environment_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for text, folder in (
        ("out", tmp_path / "out"),
        ("./a/../out", tmp_path / "a" / ".." / "out"),
        ("~", tmp_path / "home"),
        ("~/x", tmp_path / "home" / "x"),
        ("~root/x", Path("~root").expanduser() / "x"),
        ("/some/where", Path("/some/where")),
        ("a ~ b", tmp_path / "a ~ b"),
        ("$HOME/x", tmp_path / "$HOME" / "x"),  # a shell would have filled it in
        ("", RESULTS),
    ):
        monkeypatch.setenv("VZLIB_RESULTS", text)
        assert results.location() == folder == from_environment("VZLIB_RESULTS", RESULTS)
    monkeypatch.delenv("VZLIB_RESULTS")
    assert results.location() == RESULTS


def test_an_unknown_home_is_one_clear_error(monkeypatch):
    monkeypatch.setenv("VZLIB_RESULTS", "~nobody-of-this-name/x")
    with pytest.raises(ValueError, match=r"\$VZLIB_RESULTS = '~nobody-of-this-name/x': nobody kn"):
        results.location()


def test_a_base_may_be_given(tmp_path):
    assert absolute("a/b", tmp_path) == tmp_path / "a" / "b"
    assert absolute("/a", tmp_path) == Path("/a")
