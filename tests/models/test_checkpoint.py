import shutil

import pytest

from vzlib.models import checkpoint


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(bytes(range(200)))
    return tmp_path


def test_a_copy_has_the_same_identity(folder, tmp_path_factory):
    copy = shutil.copytree(folder, tmp_path_factory.mktemp("copy") / "other name")
    assert checkpoint.identity(str(folder)) == checkpoint.identity(str(copy))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_any_file_changes_it(folder, name):
    before = checkpoint.identity(str(folder))
    (folder / name).write_bytes(bytes(range(1, 201)))
    assert checkpoint.identity(str(folder)) != before


@pytest.mark.parametrize("name", ["README.md", "curve.jsonl", ".cache"])
def test_what_is_no_part_of_the_model_does_not(folder, name):
    before = checkpoint.identity(str(folder))
    (folder / name).write_text("more")
    assert checkpoint.identity(str(folder)) == before


@pytest.mark.parametrize("place", [0, -1])
def test_both_ends_of_a_large_file_count(folder, monkeypatch, place):
    monkeypatch.setattr(checkpoint, "WHOLE", 100)
    monkeypatch.setattr(checkpoint, "END", 20)
    before = checkpoint.identity(str(folder))
    content = bytearray(range(200))
    content[place] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    assert checkpoint.identity(str(folder)) != before


def test_a_hub_model_in_the_cache_is_known_by_its_commit(monkeypatch):
    import huggingface_hub

    cached = "/cache/models--a--b/snapshots/0123abc/config.json"
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: cached)
    assert checkpoint.identity("a/b") == "a/b@0123abc"


def test_names_what_leads_nowhere():
    with pytest.raises(ValueError, match="no-such-folder"):
        checkpoint.identity("no-such-folder")
