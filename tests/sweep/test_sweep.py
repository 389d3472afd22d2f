"""A sweep computes what is missing and nothing else, and says honestly how it went."""

import os
import signal
import time
from functools import partial

import nbformat
import pandas as pd
import pytest

from tests.sweep.conftest import CELLS


def test_points_once_then_none_then_only_the_new(clone):
    squares = clone()
    path = squares.sweep([1, 2], draw={"numbers": [1, 2]}, group=2)
    first = squares.run(path, "--jobs", "1")
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("squares: 2 points, 2 to compute\n")
    assert "squares: 2 done, 0 running, 0 failed, 0 left\n" in first.stdout
    assert squares.computed() == [1, 2]
    table = pd.read_csv(squares.place / "figures" / "squares.csv")
    assert table.to_dict("list") == {"number": [1, 2], "square": [1, 4]}
    start = time.monotonic()
    again = squares.run(path)
    assert time.monotonic() - start < 30
    assert (again.returncode, again.stdout) == (0, "squares: 2 points, 0 to compute\n")

    # A notebook's text, a plot: nothing is computed, and the second is drawn again.
    squares.notebook("# Other words", *CELLS)
    squares.write("vzlib/plotting/squares.py", "def draw(rows): print('drawn otherwise')\n")
    path = squares.sweep([1, 2, 3], draw={"numbers": [1, 2]}, group=2)
    more = squares.run(path)
    assert more.stdout.startswith("squares: 3 points, 1 to compute\n")
    assert squares.computed() == [1, 2, 3]
    drawn = nbformat.read(squares.place / "90_squares.ipynb", as_version=4)
    assert drawn.cells[-1].outputs[0].text == "drawn otherwise\n"

    # The method: every point that uses it.
    squares.write("vzlib/experiments/power.py", "def square(number):\n    return -(number**2)\n")
    method = squares.run(squares.sweep([1, 2, 3], group=3))
    assert method.stdout.startswith("squares: 3 points, 3 to compute\n")
    assert squares.computed() == [1, 1, 2, 2, 3, 3]


def test_a_failing_point_is_tried_three_times_told_with_its_cell_and_stops_no_other(clone):
    squares = clone()
    done = squares.run(squares.sweep([1, 2], fixed={"bad": 1}, draw={"numbers": [1, 2]}, group=2))
    assert done.returncode == 1
    (failure,) = done.stderr.splitlines()
    assert failure.startswith("failed: 90_squares number=1-")
    assert failure.endswith(", cell 4: ZeroDivisionError: the bad number")
    assert "squares: 1 done, 0 running, 1 failed, 0 left\n" in done.stdout
    attempts = {record["state"]: record["attempt"] for record in squares.records()}
    assert attempts == {"done": 1, "failed": 3}
    names = sorted(path.name.partition("-")[0] for path in squares.published())
    assert names == ["number=1", "number=2"]  # the first is a .failed.ipynb
    assert not (squares.place / "90_squares.ipynb").exists()


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
    squares.write("vzlib/experiments/power.py", "def square(number):\n    return 'edited'\n")
    assert process.wait(timeout=120) == 0
    table = pd.read_csv(squares.place / "figures" / "squares.csv")
    assert table["square"].tolist() == [1, 4, 9]
    process.communicate()
