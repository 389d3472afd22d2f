"""kill -9 at random moments: every point computed once, nothing torn, the same bytes in the end."""

import io
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from tests.sweep.conftest import Clone
from vzlib import results


class Reader:
    """Reads every published file again and again; `torn` are those that could not be parsed."""

    def __init__(self, squares: Clone) -> None:
        self.squares, self.torn, self.reads = squares, [], 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._poll)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._ended.wait(0.05):
            for folder in results.entries(self.squares.store):
                self.read(folder, results.verify)
            for name in ("points", "records", "figures", ""):
                for path in (self.squares.place / name).glob("[!.]*.*"):
                    if path.suffix in (".ipynb", ".json", ".csv"):
                        self.read(path, parse)

    def read(self, path: Path, how: Callable[[Path], object]) -> None:
        try:
            how(path)
        except FileNotFoundError:
            return  # a record of a failure that was removed since it was listed
        except ValueError as error:
            self.torn.append(error)
        self.reads += 1


def parse(path: Path) -> object:
    text = path.read_text()
    return json.loads(text) if path.suffix != ".csv" else pd.read_csv(io.StringIO(text))


def outcome(squares: Clone) -> dict[str, bytes]:
    """The bytes that a finished sweep is judged by."""
    return {path.name: path.read_bytes() for path in (squares.place / "figures").iterdir()}


def kill_and_resume(squares: Clone, path: str, chance: random.Random, groups: Sequence[bool]):
    """Kill a sweep, its process group or its coordinator only, and resume at once each time.

    Returns how many kills hit a coordinator alone and how many a group; the others came too late.
    """
    hits = Counter({False: 0, True: 0})
    for group in groups:
        begun = len(squares.computed())
        process = squares.start(path, "--jobs", "2")
        squares.until(partial(squares.more_than, begun), process)
        try:
            process.wait(chance.uniform(0, 2))
        except subprocess.TimeoutExpired:
            hits[group] += 1
            (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        process.communicate()
    done = squares.run(path, "--jobs", "2")
    assert (done.returncode, done.stderr) == (0, "")
    squares.settle()
    return hits


def undisturbed(clone, numbers) -> dict[str, bytes]:
    squares = clone(figure=True)
    done = squares.run(squares.sweep(numbers, draw={"numbers": [*numbers]}, group=len(numbers)))
    assert (done.returncode, done.stderr) == (0, "")
    return outcome(squares)


def trial(clone, seed: int, numbers: Sequence[int], groups: Sequence[bool], **how):
    """One sweep, killed; returns its clone, the hits, the computations and the reads."""
    squares = clone(**how)
    path = squares.sweep(numbers, draw={"numbers": [*numbers]}, group=2)
    with Reader(squares) as reader:
        hits = kill_and_resume(squares, path, random.Random(seed), groups)
    assert reader.torn == []
    assert reader.reads > 0
    computed = squares.computed()
    assert set(computed) == set(squares.computed("end")) == set(numbers)
    # What a killed coordinator leaves is finished by its jobs; of a killed group, at most what was
    # in flight is repeated.
    assert len(computed) <= len(numbers) + 2 * hits[True]
    return squares, hits, len(computed), reader.reads


def test_a_few_kills(clone):
    numbers = range(1, 4)
    squares, hits, *_ = trial(clone, 1, numbers, [False, False, True], seconds=0.3)
    assert hits.total() > 0
    table = outcome(squares)["squares.csv"].decode().split()
    assert table == ["number,square", *(f"{number},{number**2}" for number in numbers)]


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.parametrize(
    ("group", "wanted"), [(False, 50), (True, 20)], ids=["coordinator", "process group"]
)
def test_many_kills_over_many_sweeps(clone, group, wanted, capsys):
    numbers = range(1, 9)
    expected = undisturbed(clone, numbers)
    assert set(expected) == {"squares.csv", "squares.pdf", "squares.png"}
    sweeps = hits = computed = reads = 0
    start = time.monotonic()
    while hits < wanted or sweeps < wanted * 2 // 5:
        squares, *counts = trial(clone, sweeps, numbers, [group] * 3, seconds=0.5, figure=True)
        assert outcome(squares) == expected
        sweeps, hits = sweeps + 1, hits + counts[0][group]
        computed, reads = computed + counts[1], reads + counts[2]
        with capsys.disabled():
            print(
                f"\n{hits} kills over {sweeps} sweeps of {len(numbers)} points: {computed} "
                f"computations, {reads} reads, 0 torn, {time.monotonic() - start:.0f} s"
            )
