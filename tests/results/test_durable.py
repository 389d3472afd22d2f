"""Files appear whole or not at all, and a lock is held by one process at a time."""

import errno
import os

import pytest

from vzlib.results import durable


@pytest.fixture
def full_disk(monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "new" / "file.json"
    durable.write_whole(path, "first")
    durable.write_whole(path, b"second")
    assert path.read_text() == "second"
    assert os.listdir(path.parent) == ["file.json"]


def test_what_was_there_stays_when_the_disk_is_full(tmp_path, full_disk):
    path = tmp_path / "file.json"
    path.write_text("before")
    with pytest.raises(OSError, match="No space left"):
        durable.write_whole(path, "after")
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file.json"]


def test_a_folder_appears_and_goes_at_once(tmp_path):
    aside, folder = tmp_path / ".aside", tmp_path / "deep" / "folder"
    (aside / "inner").mkdir(parents=True)
    (aside / "inner" / "file").write_text("content")
    (aside / "link").symlink_to(tmp_path / "nowhere")
    durable.publish(aside, folder)
    assert (folder / "inner" / "file").read_text() == "content"
    assert not aside.exists()
    durable.remove(folder, aside)
    assert os.listdir(tmp_path) == ["deep"]


def test_a_lock_is_held_once_and_given_back(tmp_path):
    path = tmp_path / "locks" / "one"
    with durable.try_lock(path) as first, durable.try_lock(path) as second:
        assert first is not None
        assert second is None
    with durable.locked(path, "it"), durable.try_lock(path) as third:
        assert third is None
