"""Files beside the rows of an entry, and artifacts that are found by their names."""

import pandas as pd
import pytest

from vzlib import results
from vzlib.results import artifacts


def make(settings):
    return pd.DataFrame({"n": [settings["n"]]}), {"made.bin": bytes([settings["n"]])}


def store(n, model="abc float32 cpu", **about):
    told = {"model": "m", "artifact": "thing", "made_from": n} | about
    return results.compute("making", {"n": n}, make, model_fingerprint=model, about=told)


def test_a_file_is_kept_hashed_and_found_again(own_store):
    table = store(3)
    file = results.file(table, "made.bin")
    assert file.read_bytes() == b"\x03" and table["n"].tolist() == [3]
    results.verify(file.parent)
    with pytest.raises(LookupError, match=r"making stored no other\.bin"):
        results.file(table, "other.bin")
    file.write_bytes(b"\x04")
    with pytest.raises(results.DamagedEntry, match=r"made\.bin differs from the hash"):
        results.verify(file.parent)
    assert results.file(store(3), "made.bin").read_bytes() == b"\x03"  # computed anew


def test_rows_must_be_among_what_is_returned(own_store):
    with pytest.raises(TypeError, match=r"making returned \(dict\); allowed"):
        results.compute("making", {"n": 1}, lambda settings: {"made.bin": b""})


def test_an_artifact_belongs_to_a_model_and_the_one_made_from_most_counts(own_store):
    tables = {n: store(n) for n in (2, 5, 3)}
    store(9, model="other float32 cpu")
    store(7, artifact="another")
    found = artifacts.find("making", "thing", "abc")
    assert str(found) == tables[5].attrs["folder"]
    assert artifacts.names("making", "abc") == ["another", "thing"]
    assert artifacts.find("making", "none", "abc") is None
