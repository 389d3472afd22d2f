"""Runs a sweep: one coordinator, Snakemake starts the jobs, one line tells how it goes."""

import hashlib
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from vzlib import durable, results
from vzlib.paths import REPOSITORY
from vzlib.sweep import frozen, places, sweep_file
from vzlib.sweep.sweep_file import Point, Sweep

RETRIES = 2
TICK = 0.5  # seconds between looks at how it goes
QUIET = 30.0  # seconds between lines where the output is no terminal


class Refused(RuntimeError):
    """Another coordinator runs this sweep."""


def folder(sweep: Sweep) -> Path:
    """Where a sweep keeps what it makes, below the store of results."""
    return results.location() / "sweeps" / sweep.name


def run(sweep: Sweep, jobs: int, slurm: Sequence[str] = ()) -> list[str]:
    """Compute what is missing of a sweep, then draw; returns what failed, one text each.

    jobs: how many run at a time. slurm: options of Snakemake that send the jobs to a cluster.

    Raises:
        Refused: another coordinator is at work on it.
        SweepError: the experiment refuses a point; nothing ran.
    """
    place = folder(sweep)
    with _alone(place, sweep.name):
        missing = [p for p in sweep.points if not places.published(place, p.label).exists()]
        print(f"{sweep.name}: {len(sweep.points)} points, {len(missing)} to compute", flush=True)
        if missing:
            sweep_file.check(sweep, missing)
        version = _drawing(sweep, place)
        if not missing and not version:
            return []
        copy = _freeze(sweep, place)
        _use(copy, jobs)
        if missing:
            plan = _plan(sweep, missing, place, copy)
            with Progress(place, sweep.points) as progress:
                _snakemake(place, plan, jobs, slurm, progress)
        failures = list(_failures(sweep, place))
        if version and not failures:
            failures += _draw(sweep, place, copy, version)
        return failures


@contextmanager
def _alone(place: Path, name: str) -> Iterator[None]:
    """Hold the sweep's lock, which the system gives back when the coordinator dies."""
    with durable.try_lock(place / "coordinator.lock") as handle:
        if handle is None:
            other = (place / "coordinator.lock").read_text(encoding="utf-8").strip()
            raise Refused(f"{name} is run by {other or 'another coordinator'}; stop it, or wait")
        handle.seek(0)
        if before := handle.read().strip():
            print(f"{name}: {before} ended without finishing; going on from there", flush=True)
        handle.truncate(0)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        handle.write(f"process {os.getpid()} on {socket.gethostname()} since {now}\n")
        handle.flush()
        yield
        handle.truncate(0)


def _freeze(sweep: Sweep, place: Path) -> Path:
    copy = frozen.freeze(sweep.notebook, place / "code")
    if sweep_file.code_of(copy / "notebooks" / sweep.notebook.name, copy) != sweep.code:
        raise sweep_file.SweepError("the code changed while the sweep started; start it again")
    return copy


def _use(copy: Path, jobs: int) -> None:
    """Let the processes that this one starts use the copy of the code and share the cores."""
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    os.environ |= {
        "PYTHONPATH": str(copy),
        "VZLIB_RESULTS": str(results.location()),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads),
    }


def _plan(sweep: Sweep, missing: list[Point], place: Path, copy: Path) -> Path:
    """Write what the jobs need to know; a file named by its content."""
    groups = sweep_file.jobs(missing, sweep.group)
    names = ((hashlib.sha256(" ".join(p.label for p in g).encode()).hexdigest(), g) for g in groups)
    plan = {
        "run": str(place),
        "notebook": str(copy / "notebooks" / sweep.notebook.name),
        "cwd": str(sweep.notebook.parent),
        "python": sys.executable,
        "retries": RETRIES,
        "points": {p.label: p.values for p in missing},
        "jobs": {name[:16]: [p.label for p in group] for name, group in names},
    }
    text = json.dumps(plan, indent=1)
    path = copy / f"plan-{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
    durable.write_whole(path, text)
    shutil.rmtree(place / "marks", ignore_errors=True)
    for each in missing:  # failures of earlier runs
        places.record(place, each.label).unlink(missing_ok=True)
    return path


def _snakemake(
    place: Path, plan: Path, jobs: int, slurm: Sequence[str], progress: "Progress"
) -> None:
    """Let Snakemake run the jobs of a plan, in this process, its output going to a file."""
    from snakemake.cli import main

    options = ["--snakefile", str(plan.parent / "Snakefile"), "--directory", str(place)]
    options += ["--config", f"plan={plan}", "--keep-going", "--rerun-incomplete", "--nolock"]
    options += ["--rerun-triggers", "mtime", "--drop-metadata", "--scheduler", "greedy"]
    options += list(slurm) or ["--cores", str(jobs)]
    stop = signal.signal(signal.SIGINT, lambda *_: progress.interrupt())
    here = Path.cwd()
    try:
        with _into(place / "snakemake.log"):
            main(options)
    except SystemExit:
        pass  # what failed is read from the records
    finally:
        signal.signal(signal.SIGINT, stop)
        os.chdir(here)
    if progress.interrupted:
        raise KeyboardInterrupt


def _drawing(sweep: Sweep, place: Path) -> str:
    """A hash of what the drawing shows and of all code; empty if there is nothing to be drawn."""
    if sweep.draw is None:
        return ""
    digest = hashlib.sha256(json.dumps([sweep.draw, [p.key for p in sweep.points]]).encode())
    for path in (sweep.notebook, *sorted((REPOSITORY / "vzlib").rglob("*.py"))):
        digest.update(path.read_bytes())
    version, last = digest.hexdigest(), place / "drawn"
    return "" if last.is_file() and last.read_text(encoding="utf-8") == version else version


def _draw(sweep: Sweep, place: Path, copy: Path, version: str) -> list[str]:
    """Run the notebook once more, on stored results only; its figures go to `<run>/figures`."""
    from vzlib import reproduce

    (place / "figures").mkdir(exist_ok=True)
    os.environ |= {"VZLIB_STORE_ONLY": "1", "VZLIB_FIGURES": str(place / "figures")}
    notebook, cwd = copy / "notebooks" / sweep.notebook.name, sweep.notebook.parent
    published = place / sweep.notebook.name
    try:
        with reproduce.own_kernel() as config:
            reproduce.execute(notebook, sweep.draw or {}, published, config, cwd=cwd)
    except Exception as error:
        return [f"{sweep.notebook.stem} drawing, {reproduce.explain(error)}"]
    durable.write_whole(place / "drawn", version)
    print(f"{sweep.name}: drawn in {published}", flush=True)
    return []


@contextmanager
def _into(log: Path) -> Iterator[None]:
    """Send what this process and its children print to a file."""
    with log.open("a", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        kept = os.dup(1), os.dup(2)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            file.flush()
            for number, descriptor in enumerate(kept, start=1):
                os.dup2(descriptor, number)
                os.close(descriptor)


class Progress:
    """Says in one line how a sweep goes, from what its jobs left in the folder, until closed."""

    def __init__(self, place: Path, points: list[Point]) -> None:
        self.place, self.labels = place, [p.label for p in points]
        self.interrupted = False
        self._out: IO[str] = os.fdopen(os.dup(1), "w")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._begun, self._before = time.monotonic(), len(self._done())

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        print(self.line(), file=self._out, flush=True)
        self._out.close()

    def interrupt(self) -> None:
        """Interrupt the jobs on this machine, then this process."""
        self.interrupted = True
        for label in self._running():
            state = _state(self.place, label)
            if state.get("host") == socket.gethostname() and self._held(label):
                os.kill(state["process"], signal.SIGINT)
        raise KeyboardInterrupt

    def line(self) -> str:
        """ "token_budget: 12 done, 2 running, 1 failed, 5 left, about 3 min to go" """
        done, running = self._done(), self._running()
        over = [
            label
            for label in set(self.labels) - done - set(running)
            if (state := _state(self.place, label)).get("state") == "failed"
            and state["attempt"] > RETRIES
        ]
        left = len(self.labels) - len(done) - len(running) - len(over)
        text = f"{len(done)} done, {len(running)} running, {len(over)} failed, {left} left"
        return f"{self.place.name}: {text}{self._time(len(done), left + len(running))}"

    def _time(self, done: int, ahead: int) -> str:
        if not ahead or done == self._before:
            return ""
        seconds = (time.monotonic() - self._begun) / (done - self._before) * ahead
        scale, unit = (1, "s") if seconds < 90 else (60, "min") if seconds < 5400 else (3600, "h")
        return f", about {seconds / scale:.0f} {unit} to go"

    def _watch(self) -> None:
        terminal, shown, when = self._out.isatty(), "", 0.0
        while not self._ended.wait(TICK):
            line = self.line()
            if line != shown and (terminal or time.monotonic() - when > QUIET):
                print(line, end="\x1b[K\r" if terminal else "\n", file=self._out, flush=True)
                shown, when = line, time.monotonic()

    def _done(self) -> set[str]:
        there = set(os.listdir(self.place / "points")) if (self.place / "points").exists() else ()
        return {label for label in self.labels if f"{label}.ipynb" in there}

    def _running(self) -> list[str]:
        there = set(os.listdir(self.place / "locks")) if (self.place / "locks").exists() else set()
        done = self._done()
        return [
            label
            for label in self.labels
            if label in there and label not in done and self._held(label)
        ]

    def _held(self, label: str) -> bool:
        with durable.try_lock(places.lock(self.place, label)) as handle:
            return handle is None


def _state(place: Path, label: str) -> dict[str, Any]:
    path = places.record(place, label)
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _failures(sweep: Sweep, place: Path) -> Iterator[str]:
    for each in sweep.points:
        if not places.published(place, each.label).exists():
            state = _state(place, each.label)
            error = state.get("error", f"ended without an error; see {place / 'snakemake.log'}")
            yield f"{sweep.notebook.stem} {each.label}, {error}"
