"""The line tells what is so: done is published, running is locked, failed was given up."""

import io
import json
import time

import pytest
from rich.console import Console

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


def test_on_a_terminal_a_bar_of_the_points_stands_before_the_line(tmp_path):
    place = tmp_path / "squares"
    labels = [f"point-{number}" for number in range(4)]
    for label in labels[:3]:
        durable.write_whole(places.published(place, label), "{}")
    told = progress.Progress(place, [Point({}, None, "", label) for label in labels])
    terminal = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=50)
    terminal.print(told._bar())
    shown = terminal.file.getvalue()
    assert shown.count("━") == 15
    # However narrow, it is drawn over itself, so nothing of it may be lost.
    words = " ".join(shown.replace("━", "").replace("╺", "").split())
    assert words == "squares: 3 done, 0 running, 0 failed, 1 left"


def test_in_a_file_a_line_stands_for_every_change(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(progress, "TICK", 0.01)
    monkeypatch.setattr(progress, "QUIET", 0.0)
    place = tmp_path / "squares"
    with progress.Progress(place, [Point({}, None, "", label) for label in ("a", "b")]):
        for label in ("a", "b"):
            time.sleep(0.2)
            durable.write_whole(places.published(place, label), "{}")
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "squares: 0 done, 0 running, 0 failed, 2 left"
    assert any(line.startswith("squares: 1 done, 0 running, 0 failed, 1 left") for line in lines)
    assert lines[-1] == "squares: 2 done, 0 running, 0 failed, 0 left"
