"""A sweep computes what is missing and nothing else, and says honestly how it went."""

import os
import shutil
import signal
from functools import partial

import nbformat
import pandas as pd
import pytest

from tests.permissions import OBEY_FROM_NOW_ON, read_only
from tests.runs.sweep.conftest import CELLS
from vzlib import results

POWER = "vzlib/methods/power.py"

NOISY = """
import atexit
import logging


def draw(rows, settings):
    print("drawn otherwise")
    atexit.register(logging.getLogger("tornado").error, "what a kernel says as it ends")
"""


@pytest.mark.slow
def test_points_once_then_none_then_only_the_new(clone):
    squares = clone()
    path = squares.sweep([0, 1], draw={"numbers": [0, 1]}, group=2)
    first = squares.run(path, "--jobs", "1")
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("squares: 2 points, 2 to compute\n")
    assert "squares: 2 done, 0 running, 0 failed, 0 left\n" in first.stdout
    assert squares.computed() == [0, 1]
    table = pd.read_csv(squares.place / "figures" / "squares.csv")
    assert table.to_dict("list") == {"number": [0, 1], "square": [0, 1]}
    again = squares.run(path)
    assert (again.returncode, again.stdout) == (0, "squares: 2 points, 0 to compute\n")

    # A notebook's text, a plot: nothing is computed, and the second is drawn again.
    squares.notebook("# Other words", *CELLS)
    squares.write("vzlib/experiments/squares/draw.py", NOISY)
    path = squares.sweep([0, 1, 2], draw={"numbers": [0, 1]}, group=2)
    more = squares.run(path)
    assert (more.returncode, more.stderr) == (0, "")
    assert "what a kernel says as it ends" in (squares.place / "snakemake.log").read_text()
    assert more.stdout.startswith("squares: 3 points, 1 to compute\n")
    assert squares.computed() == [0, 1, 2]
    drawn = nbformat.read(squares.place / "90_squares.ipynb", as_version=4)
    assert drawn.cells[-1].outputs[0].text == "drawn otherwise\n"

    # The method: every point that uses it, which the first does not.
    squares.write(POWER, "def square(number):\n    return -(number**2)\n")
    method = squares.run(squares.sweep([0, 1, 2], group=3))
    assert method.stdout.startswith("squares: 3 points, 3 to compute\n")
    assert squares.computed() == [0, 1, 1, 2, 2]
    assert len(list((squares.place / "code").iterdir())) == 1  # those of earlier runs are gone


@pytest.mark.slow
def test_failing_points_are_tried_three_times_told_with_their_cell_and_stop_no_other(clone):
    """One raises; the rows of another do not fit into the store."""
    squares = clone()
    path = squares.sweep(
        [1, 2, 3], fixed={"bad": 1, "large": 2}, draw={"numbers": [1, 2, 3]}, group=3
    )
    # More than any file of the code that is copied, less than the rows.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2**22, 2**22))"
    done = squares.run(path, first=limit)
    assert done.returncode == 1
    raised, full = done.stderr.splitlines()
    assert raised.startswith("failed: 90_squares number=1-")
    assert raised.endswith(", cell 4: ZeroDivisionError: the bad number")
    assert full.startswith("failed: 90_squares number=2-")
    message = f": NotWritable: the store {squares.store} cannot be written: File too large"
    assert message in full
    assert "squares: 1 done, 0 running, 2 failed, 0 left\n" in done.stdout
    attempts = sorted((record["state"], record["attempt"]) for record in squares.records())
    assert attempts == [("done", 1), ("failed", 3), ("failed", 3)]
    failed = [path for path in squares.published() if path.name.endswith(".failed.ipynb")]
    assert (len(squares.published()), len(failed)) == (3, 2)
    assert not (squares.place / "90_squares.ipynb").exists()
    assert squares.stored() == {3}
    assert os.listdir(squares.store / ".aside") == []


def test_a_read_only_store_is_enough_when_all_is_there_and_told_when_not(clone):
    squares = clone()
    path = squares.sweep([1, 2])
    squares.finish(path)
    with read_only(squares.store):
        there = squares.run(path, first=OBEY_FROM_NOW_ON)
        assert (there.returncode, there.stderr) == (0, "")
        assert there.stdout == "squares: 2 points, 0 to compute\n"
        more = squares.run(squares.sweep([1, 2, 3]), first=OBEY_FROM_NOW_ON)
    assert (more.returncode, more.stdout) == (2, "")
    (told,) = more.stderr.splitlines()
    assert told.startswith(f"the store {squares.store} cannot be written: Permission denied")
    assert "$VZLIB_RESULTS" in told
    assert squares.computed() == []


@pytest.mark.slow
def test_a_thousand_finished_points_take_seconds_and_one_more_is_the_only_one_computed(clone):
    squares = clone()
    path = squares.sweep(range(1000))
    squares.finish(path)
    before = os.times()
    done = squares.run(path)
    after = os.times()
    assert done.stdout == "squares: 1000 points, 0 to compute\n"
    # Processor time, which other work on the machine does not lengthen.
    spent = after.children_user + after.children_system
    assert spent - before.children_user - before.children_system < 5
    more = squares.run(squares.sweep(range(1001)))
    assert (more.returncode, more.stderr) == (0, "")
    assert more.stdout.startswith("squares: 1001 points, 1 to compute\n")
    assert squares.computed() == [1000]


@pytest.mark.slow
def test_a_damaged_row_is_told_and_measured_again_alone(clone):
    squares = clone()
    path = squares.sweep([1, 2], draw={"numbers": [1, 2]}, group=2)
    assert squares.run(path).returncode == 0
    for folder in results.entries(squares.store):
        if results.provenance_of(folder)["settings"]["number"] == 2:
            (folder / results.ROWS).write_bytes(b"torn")
    plot = squares.folder / "vzlib" / "experiments" / "squares" / "draw.py"
    plot.write_text(plot.read_text() + "# drawn again\n")
    told = squares.run(path)
    points = squares.place / "points"
    assert told.returncode == 1
    assert "failed: 90_squares drawing, cell 4: MissingResult: no stored result" in told.stderr
    assert f"or the store lost it: then remove {points} and start again\n" in told.stderr
    shutil.rmtree(points)
    again = squares.run(path)
    assert (again.returncode, again.stderr) == (0, "")
    assert squares.computed() == [1, 2, 2]


@pytest.mark.slow
def test_code_that_a_job_of_a_dead_coordinator_uses_is_kept_as_long(clone):
    squares = clone(seconds=600)
    path = squares.sweep([1])
    first = squares.start(path)
    squares.until(squares.computed, first)
    first.kill()
    first.communicate()
    (used,) = (squares.place / "code").iterdir()
    (orphan,) = squares.records()

    squares.environment["SQUARES_SECONDS"] = "0"
    squares.write(POWER, "def square(number):\n    return number\n")
    assert squares.run(path).returncode == 0
    assert used in (squares.place / "code").iterdir()

    os.kill(orphan["process"], signal.SIGKILL)
    squares.settle()
    squares.write(POWER, "def square(number):\n    return 0\n")
    assert squares.run(path).returncode == 0
    (left,) = (squares.place / "code").iterdir()
    assert left != used


@pytest.mark.slow
def test_a_second_coordinator_an_interrupt_and_a_dead_one(clone):
    squares = clone(seconds=600)
    path = squares.sweep([1])
    first = squares.start(path)
    squares.until(squares.computed, first)
    second = squares.run(path)
    assert (second.returncode, second.stdout) == (2, "")
    assert second.stderr.startswith(f"squares is run by process {first.pid} on ")

    os.kill(first.pid, signal.SIGINT)
    out, err = first.communicate(timeout=60)
    assert (first.returncode, err) == (130, "stopped; the same command goes on from here\n")
    assert out.endswith("squares: 0 done, 0 running, 0 failed, 1 left\n")
    assert squares.published() == []
    (record,) = squares.records()
    assert not os.path.exists(f"/proc/{record['process']}")

    assert (squares.place / "coordinator.lock").read_text() == ""

    third = squares.start(path)
    squares.until(partial(squares.more_than, 1), third)
    os.killpg(third.pid, signal.SIGKILL)
    third.communicate()
    squares.environment["SQUARES_SECONDS"] = "0"
    fourth = squares.run(path)
    assert fourth.returncode == 0
    assert fourth.stdout.startswith(f"squares: process {third.pid} on ")
    assert "ended without finishing; going on from there\n" in fourth.stdout
    assert (squares.computed(), squares.computed("end")) == ([1, 1, 1], [1])


@pytest.mark.slow
def test_edits_during_a_run_change_nothing_in_it(clone):
    squares = clone(seconds=1)
    process = squares.start(squares.sweep([1, 2, 3], draw={"numbers": [1, 2, 3]}), "--jobs", "1")
    squares.until(squares.computed, process)
    squares.write(POWER, "def square(number):\n    return 'edited'\n")
    assert process.wait(timeout=120) == 0
    table = pd.read_csv(squares.place / "figures" / "squares.csv")
    assert table["square"].tolist() == [1, 4, 9]
    process.communicate()
