"""The store keeps what was measured, whatever happens to the process that measures."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from pydantic import BaseModel

from vzlib import results
from vzlib.__main__ import main
from vzlib.paths import REPOSITORY
from vzlib.results import durable


class Settings(BaseModel, frozen=True):
    images: int = 3
    layers: tuple[int, ...] = (1, 2)


def measure(settings):
    return pd.DataFrame({"layer": settings.layers, "value": [0.1, 0.2], "method": ["a", "b"]})


def measure_with_predictions(settings):
    return measure(settings), pd.DataFrame({"question": [1, 2, 3], "right": [True, False, True]})


def refuse(settings):
    raise AssertionError("computed although stored")


refuse.__module__ = measure.__module__


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_RESULTS", str(tmp_path / "store"))
    monkeypatch.delenv("VZLIB_STORE_ONLY", raising=False)
    return tmp_path / "store"


@pytest.fixture
def counted():
    """`measure`, counting its calls."""

    def function(settings):
        function.calls += 1
        return measure(settings)

    function.calls = 0
    return function


def test_the_second_call_reads_what_the_first_one_stored(counted):
    first = results.compute("layers", Settings(), counted)
    second = results.compute("layers", Settings(), counted)
    assert counted.calls == 1
    pd.testing.assert_frame_equal(first, second)
    pd.testing.assert_frame_equal(first, measure(Settings()), check_dtype=False)
    assert [path.parent.name for path in results.entries()] == ["layers"]


@pytest.mark.parametrize(
    "change",
    [
        {"experiment": "others"},
        {"settings": Settings(images=4)},
        {"model_fingerprint": "other"},
        {"data_version": "other"},
        {"function": measure_with_predictions},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_ingredient_of_the_key_counts(change):
    call = {"experiment": "layers", "settings": Settings(), "function": measure}
    first = results.compute(**call)
    second = results.compute(**{**call, **change})
    assert first.attrs["key"] != second.attrs["key"]
    assert len(results.entries()) == 2


def test_settings_as_a_mapping_in_any_order_are_the_same_point(counted):
    def function(settings):
        return counted(Settings(**settings))

    first = results.compute("layers", {"images": 3, "layers": (1, 2)}, function)
    second = results.compute("layers", {"layers": [1, 2], "images": 3}, function)
    assert (first.attrs["key"], counted.calls) == (second.attrs["key"], 1)


def test_predictions_and_provenance_lie_beside_the_rows():
    table = results.compute("layers", Settings(), measure_with_predictions, data_version="v1")
    assert results.predictions(table)["right"].sum() == 2
    record = results.describe(table)
    assert record["settings"] == {"images": 3, "layers": [1, 2]}
    assert (record["rows"], record["data"], record["model"]) == (2, "v1", None)
    assert record["packages"]["pandas"] == pd.__version__
    assert record["seconds"] >= 0
    assert record["peak_process_memory_mib"] > 10
    assert {"commit", "dirty", "python", "processor", "threads", "finished_utc"} <= set(record)
    plain = results.compute("layers", Settings(), measure)
    with pytest.raises(LookupError, match="layers stored no predictions"):
        results.predictions(plain)


def test_named_index_becomes_columns_and_a_row_number_does_not():
    def indexed(settings):
        return measure(settings).set_index("layer")

    def filtered(settings):
        return measure(settings).query("layer == 2")

    assert list(results.compute("a", Settings(), indexed)) == ["layer", "value", "method"]
    assert list(results.compute("b", Settings(), filtered)) == ["layer", "value", "method"]


def test_store_only_reads_and_names_what_is_missing(monkeypatch):
    stored = results.compute("layers", Settings(), measure)
    monkeypatch.setenv("VZLIB_STORE_ONLY", "1")
    pd.testing.assert_frame_equal(results.compute("layers", Settings(), measure), stored)
    with pytest.raises(results.MissingResult, match=r'layers, settings .*"images": 4.*model m'):
        results.compute("layers", Settings(images=4), measure, model_fingerprint="m")
    assert len(results.entries()) == 1


def test_within_store_only_nothing_is_computed_and_outside_it_is(counted):
    with results.store_only():
        with pytest.raises(results.MissingResult), results.store_only():
            results.compute("layers", Settings(), counted)
        with pytest.raises(results.MissingResult):
            results.compute("layers", Settings(), counted)
    assert counted.calls == 0
    first = results.compute("layers", Settings(), counted)
    with results.store_only():
        pd.testing.assert_frame_equal(results.compute("layers", Settings(), counted), first)
    assert counted.calls == 1


def test_a_failed_experiment_stores_nothing(counted):
    def fail(settings):
        raise ZeroDivisionError("in the experiment")

    with pytest.raises(ZeroDivisionError, match="in the experiment"):
        results.compute("layers", Settings(), fail)
    assert results.entries() == []


def test_bad_calls_are_refused():
    with pytest.raises(ValueError, match=r"experiment '\.\./layers': use letters"):
        results.compute("../layers", Settings(), measure)
    with pytest.raises(TypeError, match=r"layers returned \(int\); allowed: rows"):
        results.compute("layers", Settings(), lambda settings: 3)
    with pytest.raises(ValueError, match="not JSON compliant"):
        results.compute("layers", {"rate": float("inf")}, measure)


def truncate(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])


def alter(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)


def remove(folder, name):
    (folder / name).unlink()


@pytest.mark.parametrize("damage", [truncate, alter, remove])
@pytest.mark.parametrize("name", ["rows.parquet", "provenance.json"])
def test_a_damaged_entry_is_reported_kept_and_computed_again(damage, name, counted, store, caplog):
    good = results.compute("layers", Settings(), counted)
    other = results.compute("layers", Settings(images=9), counted)
    folder = store / "layers" / good.attrs["key"]
    damage(folder, name)
    assert main(["results", "verify"]) == 1
    again = results.compute("layers", Settings(), counted)
    assert counted.calls == 3
    assert f"stored result not used: {folder}" in caplog.text
    pd.testing.assert_frame_equal(again, good)
    assert main(["results", "verify"]) == 0
    assert (store / ".damaged" / folder.name).is_dir()
    results.verify(store / "layers" / other.attrs["key"])


def test_verify_notices_an_altered_record_and_a_misplaced_entry(capsys, store):
    table = results.compute("layers", Settings(), measure)
    folder = store / "layers" / table.attrs["key"]
    record = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps({**record, "seconds": 0.001}))
    assert main(["results", "verify"]) == 1
    assert "differs from the hash it carries" in capsys.readouterr().out
    (folder / "provenance.json").write_text(json.dumps(record))
    assert main(["results", "verify"]) == 0
    folder.rename(store / "layers" / ("0" * 64))
    assert main(["results", "verify"]) == 1
    assert "does not belong to the key 000" in capsys.readouterr().out


def test_list(capsys):
    names = {"model": "pico", "questions": "scenes"}
    results.compute("layers", Settings(), measure, about=names)
    assert main(["results", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("layers")
    assert "2 rows" in lines[0]
    assert lines[1].startswith("1 entries")
    assert " pico scenes" in lines[0]


def test_a_folder_that_cannot_be_written_is_one_clear_message(store, capsys):
    results.compute("layers", Settings(), measure)
    (store.parent / "file").touch()
    target = store.parent / "file" / "all.csv"
    assert main(["results", "export", "--to", str(target)]) == 1
    assert capsys.readouterr().err == f"{store.parent / 'file'}: File exists\n"


def test_prune_removes_what_the_present_code_would_not_produce(store, monkeypatch, capsys):
    def present(settings):
        return measure(settings)

    kept_foreign = results.compute("foreign", Settings(), measure)
    present.__module__ = "vzlib.statistics.intervals"
    kept = results.compute("layers", Settings(), present)
    monkeypatch.setattr(results.sources, "fingerprint", lambda function, uses: "of earlier code")
    old = results.compute("layers", Settings(), present)
    kept_earlier_foreign = results.compute("foreign", Settings(), measure)
    assert results.describe(old)["function"].startswith("vzlib.statistics.intervals:")
    assert main(["results", "prune", "--dry-run"]) == 0
    assert "1 of 4 entries would be removed" in capsys.readouterr().out
    assert len(results.entries()) == 4
    assert main(["results", "prune"]) == 0
    assert old.attrs["key"][:12] in capsys.readouterr().out
    left = {folder.name for folder in results.entries()}
    assert left == {table.attrs["key"] for table in (kept, kept_foreign, kept_earlier_foreign)}
    assert os.listdir(store / ".aside") == []


def test_prune_leaves_what_another_process_is_computing(store, monkeypatch, capsys):
    def present(settings):
        return measure(settings)

    present.__module__ = "vzlib.statistics.intervals"
    monkeypatch.setattr(results.sources, "fingerprint", lambda function, uses: "of earlier code")
    old = results.compute("layers", Settings(), present)
    with durable.locked(store / ".locks" / old.attrs["key"], "it"):
        assert main(["results", "prune"]) == 0
    assert len(results.entries()) == 1


SCRIPT = """
import os, pathlib, sys, time
import pandas as pd
from vzlib import results

log, seconds, kill_at = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])

def measure(settings):
    with open(log, "a") as file:
        file.write("start\\n")
    time.sleep(seconds)
    return pd.DataFrame({"process": [os.getpid()]})

synchronise, calls = os.fsync, 0

def fsync(descriptor):
    global calls
    calls += 1
    if calls == kill_at:
        os.kill(os.getpid(), 9)
    synchronise(descriptor)

os.fsync = fsync
print(results.compute("race", {}, measure)["process"][0])
"""


@pytest.fixture
def start(tmp_path):
    """Start a process that computes the same point; `.log` has a line for each computation."""
    (tmp_path / "script.py").write_text(SCRIPT)
    log = tmp_path / "log"
    log.touch()
    processes = []

    def start(seconds=0.0, kill_at=0):
        command = [sys.executable, tmp_path / "script.py", log, str(seconds), str(kill_at)]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    start.log = log
    yield start
    for process in processes:
        process.kill()
        process.communicate()


def computations(start, at_least=0):
    """Number of computations begun; waits until there are so many."""
    limit = time.monotonic() + 60
    while len(lines := start.log.read_text().splitlines()) < at_least:
        assert time.monotonic() < limit, "the process did not begin to compute"
        time.sleep(0.05)
    return len(lines)


def test_of_two_processes_one_computes_and_the_other_waits(start):
    first, second = start(seconds=2), start(seconds=2)
    outputs = [process.communicate(timeout=120)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert computations(start) == 1
    assert outputs[0] == outputs[1]
    assert outputs[0].strip() in {str(first.pid), str(second.pid)}


def test_a_process_killed_while_computing_leaves_no_entry_and_no_lock(start):
    first = start(seconds=600)
    computations(start, at_least=1)
    first.kill()
    assert first.wait() == -signal.SIGKILL
    assert results.entries() == []
    second = start()
    assert second.communicate(timeout=120)[0].strip() == str(second.pid)
    assert computations(start) == 2


@pytest.mark.parametrize("moment", [1, 2, 3, 4, 5])
def test_a_process_killed_while_writing_leaves_nothing_torn(moment, start):
    start(kill_at=moment).wait(timeout=120)
    found = results.entries()
    for folder in found:
        results.verify(folder)
    assert len(found) == (moment == 5)  # the fifth comes after the rename
    assert start().wait(timeout=120) == 0
    assert computations(start) == (1 if moment in (1, 5) else 2)  # the first comes before it all
    assert main(["results", "verify"]) == 0


def test_missing_points_are_computed_together_and_each_is_stored_by_itself(tmp_path):
    calls = []

    def squares(points):
        calls.append([point["x"] for point in points])
        return [pd.DataFrame({"y": [point["x"] ** 2]}) for point in points]

    points = [{"x": 3}, {"x": 1}, {"x": 2}, {"x": 1}]
    first = results.compute_each("squares", points[:2], squares, store=tmp_path)
    tables = results.compute_each("squares", points, squares, store=tmp_path)
    assert calls == [[3, 1], [2]]
    assert [int(table["y"].iloc[0]) for table in tables] == [9, 1, 4, 1]
    assert tables[0].attrs == first[0].attrs
    assert len(results.entries(tmp_path)) == 3


def test_an_edit_of_a_method_leaves_the_points_of_others(store, monkeypatch):
    edited, computed = set(), []

    def fingerprint(function, uses):
        return "edited" if edited & set(uses) else "as it was"

    def measured(points):
        computed.extend(point["method"] for point in points)
        return [pd.DataFrame({"y": [1]}) for _ in points]

    def compute():
        points = [{"method": "one"}, {"method": "other"}]
        uses = {"one": ["vzlib.one"], "other": ["vzlib.other"]}
        results.compute_each("methods", points, measured, uses=lambda each: uses[each["method"]])

    monkeypatch.setattr(results.sources, "fingerprint", fingerprint)
    compute()
    edited.add("vzlib.one")
    compute()
    assert computed == ["one", "other", "one"]


def test_a_function_that_forgets_a_point_is_told_and_keeps_what_it_gave(tmp_path):
    def forgetful(points):
        return [pd.DataFrame({"y": [1]})]

    with pytest.raises(ValueError, match="shorter"):
        results.compute_each("forgetful", [{"x": 1}, {"x": 2}], forgetful, store=tmp_path)
    assert len(results.entries(tmp_path)) == 1


def test_names_of_model_and_questions_are_kept_and_change_no_key(counted):
    names = {"model": "pico", "questions": "scenes"}
    first = results.compute("layers", Settings(), counted, model_fingerprint="m", about=names)
    assert results.describe(first)["about"] == names
    again = results.compute("layers", Settings(), counted, model_fingerprint="m")
    assert (again.attrs, counted.calls) == (first.attrs, 1)
    other = results.compute("layers", Settings(), counted, model_fingerprint="n")
    assert results.describe(other)["about"] == {}
