"""A full, read-only or unreadable store is told in one message, and keeps what it holds."""

import os
import resource
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest

from tests.permissions import obeyed, read_only
from vzlib import results
from vzlib.__main__ import main
from vzlib.results import durable

KIB = 2**10


def small(settings):
    return pd.DataFrame({"value": [settings["x"]]})


def large(settings):
    return pd.DataFrame({"value": np.random.default_rng(0).random(200_000)})  # 1.6 MB


def refuse(settings):
    raise AssertionError("computed although the store cannot keep it")


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_RESULTS", str(tmp_path / "store"))
    monkeypatch.delenv("VZLIB_STORE_ONLY", raising=False)
    results.compute("kept", {"x": 1}, small)
    return tmp_path / "store"


@contextmanager
def no_file_larger_than(size):
    """What a write meets on a full disk, but for the error's number: EFBIG, not ENOSPC."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def contents(store):
    """Every file of the store but locks, and its bytes."""
    files = (path for path in store.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files if ".locks" not in path.parts}


def test_a_disk_that_fills_while_an_entry_is_written(store):
    before = contents(store)
    with (
        no_file_larger_than(512 * KIB),
        pytest.raises(durable.NotWritable) as caught,
    ):
        results.compute("large", {}, large)
    text = str(caught.value)
    assert text.startswith(f"the store {store} cannot be written: File too large")
    assert "free it, or name another folder in $VZLIB_RESULTS" in text
    assert contents(store) == before
    assert os.listdir(store / ".aside") == []
    results.compute("large", {}, large)  # its lock was given back
    assert main(["results", "verify"]) == 0
    assert len(results.entries()) == 2


def test_points_computed_together_are_kept_up_to_the_one_that_does_not_fit(store):
    def both(points):
        return [large(point) if point["x"] == 8 else small(point) for point in points]

    points = [{"x": 7}, {"x": 8}]
    with no_file_larger_than(512 * KIB), pytest.raises(durable.NotWritable):
        results.compute_each("both", points, both)
    assert len(results.entries()) == 2
    assert main(["results", "verify"]) == 0


def test_a_full_disk_is_told_before_the_work(store):
    before = contents(store)
    with (
        no_file_larger_than(32 * KIB),
        pytest.raises(durable.NotWritable, match="cannot be written: File too large"),
    ):
        results.compute("other", {}, refuse)
    assert contents(store) == before


def test_a_read_only_store_is_read_and_told_before_the_work(store):
    with read_only(store), obeyed():
        before = contents(store)
        table = results.compute("kept", {"x": 1}, small)
        assert table["value"].tolist() == [1]
        assert main(["results", "verify"]) == 0
        for experiment in ("kept", "other"):
            with pytest.raises(durable.NotWritable) as caught:
                results.compute(experiment, {"x": 2}, refuse)
            assert f"the store {store} cannot be written: Permission denied" in str(caught.value)
        assert contents(store) == before


def test_a_store_that_cannot_be_made_is_told_before_the_work(store, monkeypatch):
    (store.parent / "file").touch()
    monkeypatch.setenv("VZLIB_RESULTS", str(store.parent / "file" / "results"))
    with pytest.raises(durable.NotWritable, match="cannot be written: Not a directory"):
        results.compute("other", {}, refuse)


def test_a_row_that_may_not_be_read_is_told_and_left_alone(store, capsys, caplog, monkeypatch):
    (folder,) = results.entries()
    rows, before = folder / results.ROWS, contents(store)
    rows.chmod(0)
    monkeypatch.setenv("VZLIB_STORE_ONLY", "1")
    with obeyed():
        assert main(["results", "verify"]) == 1
        with pytest.raises(results.MissingResult, match="kept, settings"):
            results.compute("kept", {"x": 1}, small)
    assert f"damaged: {rows} cannot be read: Permission denied\n" in capsys.readouterr().out
    assert f"stored result not used: {rows} cannot be read: Permission denied" in caplog.text
    rows.chmod(0o644)
    assert contents(store) == before
    assert main(["results", "verify"]) == 0
