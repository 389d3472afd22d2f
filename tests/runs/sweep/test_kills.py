"""kill -9 at random moments: every point computed once, nothing torn, the same bytes in the end."""

import io
import json
import os
import random
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest
from PIL import Image

from tests.runs.sweep.conftest import Clone
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
        while not self._ended.wait(0.1):
            for folder in results.entries(self.squares.store):
                self.read(folder, results.read)
            for name in ("", "points/", "records/", "figures/", "code/[!.]*/"):
                for path in self.squares.place.glob(f"{name}[!.]*.*"):
                    if path.suffix in PARSERS:
                        self.read(path, PARSERS[path.suffix])

    def read(self, path: Path, how: Callable[[Path], object]) -> None:
        try:
            how(path)
        except FileNotFoundError:
            return  # a record of a failure that was removed since it was listed
        except (ValueError, SyntaxError, OSError) as error:  # Pillow raises the last two
            self.torn.append((path, error))
        self.reads += 1


def whole_image(path: Path) -> None:
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        image.verify()


def whole_pdf(path: Path) -> None:
    content = path.read_bytes()
    if not (content.startswith(b"%PDF-") and content.endswith(b"%%EOF\n")):
        raise ValueError(f"{path} is not a whole PDF")


PARSERS: dict[str, Callable[[Path], object]] = {
    ".csv": pd.read_csv,
    ".ipynb": lambda path: json.loads(path.read_bytes()),
    ".json": lambda path: json.loads(path.read_bytes()),
    ".pdf": whole_pdf,
    ".png": whole_image,
}


def outcome(squares: Clone) -> dict[str, bytes]:
    """The bytes that a finished sweep is judged by: what is published.

    A job that a coordinator left may be drawing the same once more, aside, under a hidden name.
    """
    figures = (squares.place / "figures").glob("[!.]*")
    return {path.name: path.read_bytes() for path in figures}


def killed(squares: Clone, path: str, points: int, group: bool, chance: random.Random) -> str:
    """Start a sweep and kill it: its process group with all kernels, or its coordinator only.

    The moment is random: up to two seconds after the start, after a point begins to be computed, or
    after the last one is published. Returns which of these; nothing if the sweep ended before.
    """
    begun = len(squares.computed())
    process = squares.start(path, "--jobs", "2")

    def all_there() -> bool:
        return len(squares.published()) == points

    phases = {
        "starting": lambda: True,
        "computing": lambda: squares.more_than(begun) or all_there(),
        "drawing": all_there,
    }
    phase = chance.choices(list(phases), (1, 3, 1))[0]
    squares.until(phases[phase], process)
    try:
        process.wait(chance.uniform(0, 2))
        phase = ""
    except subprocess.TimeoutExpired:
        # Kernels are groups of their own, and would live for another second.
        others = psutil.Process(process.pid).children(recursive=True) if group else []
        (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        for each in others:
            with suppress(psutil.NoSuchProcess):
                each.kill()
    process.communicate()
    return phase


def trial(squares: Clone, numbers: Sequence[int], groups: Sequence[bool], seed: int) -> Counter:
    """Kill one sweep for each of `groups`, resume at once each time, let the last run finish.

    Returns what happened: kills by phase and in all, computations, reads, and how often a job
    waited for one that a killed coordinator had left.
    """
    path = squares.sweep(numbers, draw={"numbers": [*numbers]}, group=len(numbers) // 2)
    chance, tally, stored, in_flight = random.Random(seed), Counter(), {}, 0
    with Reader(squares) as reader:
        for group in groups:
            phase = killed(squares, path, len(numbers), group, chance)
            tally[phase] += 1
            in_flight += 2 if phase and group else 0
            there, computed = squares.stored(), Counter(squares.computed())
            stored |= {number: computed[number] for number in there}
        done = squares.run(path, "--jobs", "2")
        squares.settle()
    assert (done.returncode, done.stderr) == (0, "")
    assert reader.torn == []
    assert reader.reads > 0
    hits = len(groups) - tally.pop("", 0)
    computed = Counter(squares.computed())
    assert set(computed) == set(squares.computed("end")) == set(numbers)
    assert {number: computed[number] for number in stored} == stored, "repeated a stored point"
    # What a killed coordinator leaves is finished by its jobs; of a killed group, at most what was
    # in flight is repeated.
    assert computed.total() <= len(numbers) + in_flight
    waits = (squares.place / "snakemake.log").read_text().count("waiting for another process")
    tally.update(kills=hits, computations=computed.total(), waits=waits, reads=reader.reads)
    return tally


def undisturbed(clone, numbers) -> dict[str, bytes]:
    squares = clone(figure=True)
    done = squares.run(squares.sweep(numbers, draw={"numbers": [*numbers]}, group=len(numbers)))
    assert (done.returncode, done.stderr) == (0, "")
    return outcome(squares)


@pytest.mark.slow
def test_a_few_kills(clone):
    numbers = range(1, 5)
    squares = clone(seconds=1)
    tally = trial(squares, numbers, [False, True], seed=1)
    assert tally["kills"] > 0
    table = outcome(squares)["squares.csv"].decode().split()
    assert table == ["number,square", *(f"{number},{number**2}" for number in numbers)]


@pytest.mark.long
@pytest.mark.parametrize(
    ("group", "kills", "sweeps"), [(False, 50, 20), (True, 20, 5)], ids=["coordinator", "group"]
)
def test_many_kills_over_many_sweeps(clone, group, kills, sweeps, capsys):
    """At least so many kills over so many sweeps, two sweeps at a time."""
    numbers = range(1, 7)
    expected = undisturbed(clone, numbers)
    assert {"squares.csv", "squares.pdf", "squares.png"} <= set(expected)
    total, seeds, lock = Counter(), iter(range(1000)), threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if total["kills"] >= kills and total["sweeps"] >= sweeps:
                    return
                # A job that a coordinator left must still be at work when the next one starts.
                seed, squares = next(seeds), clone(seconds=1 if group else 3, figure=True)
            tally = trial(squares, numbers, [group] * (4 if group else 3), seed)
            assert outcome(squares) == expected
            with lock:
                total.update(tally)
                total["sweeps"] += 1

    with ThreadPoolExecutor(2) as workers:
        for worker in [workers.submit(work) for _ in range(2)]:
            worker.result()
    assert total["waits"] > 0 or group, "no job left over was met, so no lock was tried"
    phases = ", ".join(f"{total[phase]} {phase}" for phase in ("starting", "computing", "drawing"))
    with capsys.disabled():
        print(
            f"\n{total['kills']} kills of the {'process group' if group else 'coordinator'} "
            f"({phases}) over {total['sweeps']} sweeps of {len(numbers)} points: "
            f"{total['computations']} computations, {total['waits']} waits for a job left over, "
            f"{total['reads']} reads, 0 torn"
        )
