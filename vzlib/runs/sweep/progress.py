"""How a sweep goes, read from what its jobs leave in its folder."""

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from vzlib.results import durable
from vzlib.runs.sweep import places
from vzlib.runs.sweep.sweep_file import Point

RETRIES = 2  # of a job that failed
TICK = 0.5  # seconds between looks at how it goes
QUIET = 30.0  # seconds between lines where the output is no terminal


class Progress:
    """Says in one line how a sweep goes, from what its jobs left in the folder, until closed."""

    def __init__(self, place: Path, points: list[Point]) -> None:
        self.place, self.labels = place, [p.label for p in points]
        self.interrupted = False
        self._out: IO[str]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._begun, self._before = time.monotonic(), len(self._done())
        self._last, self._when = self._before, self._begun  # points done at the last change

    def __enter__(self) -> "Progress":
        self._out = os.fdopen(os.dup(1), "w")  # what Snakemake prints goes elsewhere
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
            state = state_of(self.place, label)
            if state.get("host") == socket.gethostname() and self._held(label):
                os.kill(state["process"], signal.SIGINT)
        raise KeyboardInterrupt

    def line(self) -> str:
        """ "token_budget: 12 done, 2 running, 1 failed, 5 left, about 3 min to go" """
        done, running = self._done(), self._running()
        over = [
            label
            for label in set(self.labels) - done - set(running)
            if (state := state_of(self.place, label)).get("state") == "failed"
            and state["attempt"] > RETRIES
        ]
        left = len(self.labels) - len(done) - len(running) - len(over)
        text = f"{len(done)} done, {len(running)} running, {len(over)} failed, {left} left"
        return f"{self.place.name}: {text}{self._time(len(done), left + len(running))}"

    def _time(self, done: int, ahead: int) -> str:
        if done != self._last:
            self._last, self._when = done, time.monotonic()
        if not ahead or done == self._before:
            return ""
        each = (self._when - self._begun) / (done - self._before)
        seconds = max(each * ahead - (time.monotonic() - self._when), 0)
        scale, unit = (1, "s") if seconds < 90 else (60, "min") if seconds < 5400 else (3600, "h")
        return f", about {seconds / scale:.0f} {unit} to go"

    def _watch(self) -> None:
        console = Console(file=self._out, highlight=False)
        shown, when = "", -QUIET
        with Live(self._bar(), console=console, auto_refresh=False, transient=True) as live:
            while not self._ended.wait(TICK):
                if console.is_terminal:
                    live.update(self._bar(), refresh=True)
                elif (line := self.line()) != shown and time.monotonic() - when > QUIET:
                    print(line, file=self._out, flush=True)
                    shown, when = line, time.monotonic()

    def _bar(self) -> Table:
        """The line after a bar of the points that are done."""
        both = Table.grid(padding=(0, 1))
        both.add_row(ProgressBar(len(self.labels), len(self._done()), width=20), self.line())
        return both

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


def state_of(place: Path, label: str) -> dict[str, Any]:
    """What the last execution of a point left on record; empty if there was none."""
    path = places.record(place, label)
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
