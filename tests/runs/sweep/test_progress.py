"""The line tells what is so: done is published, running is locked, failed was given up."""

import json

import pytest

from vzlib.results import durable
from vzlib.runs.sweep import places, progress
from vzlib.runs.sweep.sweep_file import Point


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set: `clock[0] = seconds`."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_the_line(tmp_path, clock):
    place = tmp_path / "squares"
    labels = [f"point-{number}" for number in range(6)]
    durable.write_whole(places.published(place, labels[0]), "{}")
    for label, attempt in ((labels[1], progress.RETRIES + 1), (labels[2], progress.RETRIES)):
        record = {"state": "failed", "attempt": attempt}
        durable.write_whole(places.record(place, label), json.dumps(record))
    killed = {"state": "running", "attempt": 1}  # nobody holds its lock
    durable.write_whole(places.record(place, labels[3]), json.dumps(killed))
    told = progress.Progress(place, [Point({}, None, "", label) for label in labels])
    with durable.try_lock(places.lock(place, labels[4])):
        assert told.line() == "squares: 1 done, 1 running, 1 failed, 3 left"
        durable.write_whole(places.published(place, labels[5]), "{}")
        clock[0] = 100
        line = "squares: 2 done, 1 running, 1 failed, 2 left"
        assert told.line() == f"{line}, about 5 min to go"
        clock[0] = 250
        assert told.line() == f"{line}, about 2 min to go"
        clock[0] = 1000
        assert told.line() == f"{line}, about 0 s to go"
    assert told.line().startswith("squares: 2 done, 0 running, 1 failed, 3 left")
