import os
import shutil
from dataclasses import replace

import pytest

from vzlib.models import checkpoint, digests


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


def test_one_byte_in_the_middle_of_a_large_file_counts(folder, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    weights, size = folder / "model.safetensors", 300 * 2**20
    with weights.open("r+b") as file:
        file.truncate(size)
    before = checkpoint.identity(str(folder))
    with weights.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\1")
    assert checkpoint.identity(str(folder)) != before


def test_a_large_file_is_read_once_per_change(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "LARGE", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    read, really = [], digests._read
    monkeypatch.setattr(digests, "_read", lambda path: read.append(path.name) or really(path))
    first = checkpoint.identity(str(folder))
    digests._kept.cache_clear()  # as another process would
    assert checkpoint.identity(str(folder)) == first
    assert sorted(read) == ["config.json", "model.safetensors"]
    os.utime(folder / "model.safetensors", ns=(1, 1))
    assert checkpoint.identity(str(folder)) == first
    assert read[2:] == ["model.safetensors"]


def test_a_cache_that_cannot_be_written_is_done_without(folder, monkeypatch):
    monkeypatch.setattr(digests, "LARGE", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    assert checkpoint.identity(str(folder)) == checkpoint.identity(str(folder))


def test_the_numbers_it_computes_in_count(folder):
    found = {
        checkpoint.identity(checkpoint.resolve(str(folder), device="cpu", dtype=dtype))
        for dtype in ("float32", "bfloat16", "float16")
    }
    assert len(found) == 3
    one = checkpoint.resolve(str(folder), device="cpu", dtype="float32")
    others = [replace(one, device="cuda:0"), replace(one, quantisation="int8")]
    assert len({checkpoint.identity(each) for each in (one, *others)}) == 3


def test_a_dtype_that_is_named_holds_for_a_checkpoint_too(folder):
    one = checkpoint.resolve(str(folder), device="cpu", dtype="bfloat16")
    assert checkpoint.resolve(one) == one
    assert checkpoint.resolve(one, dtype="float16") == replace(one, dtype="float16")
    with pytest.raises(checkpoint.LoadError, match="cuda:99"):
        checkpoint.resolve(one, device="cuda:99")


@pytest.mark.parametrize("revision", ["0123abc", "4567def"])
def test_a_hub_model_is_known_by_its_commit(monkeypatch, revision):
    monkeypatch.setattr(checkpoint, "commit", lambda source, name: (revision, True))
    found = checkpoint.resolve("a/b", device="cpu")
    assert (found.source, found.revision) == ("a/b", revision)
    assert checkpoint.identity(found) == f"a/b@{revision} float32 cpu"


def test_names_what_leads_nowhere():
    with pytest.raises(ValueError, match="no-such-folder"):
        checkpoint.identity("no-such-folder")
