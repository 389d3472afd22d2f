"""A clone of the repository with an experiment of its own that takes no torch and counts itself."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from vzlib.paths import PAPER, REPOSITORY

SETTINGS = """
from pydantic import Field

from vzlib.experiments.settings import Settings


class Squares(Settings):
    number: int = Field(1, ge=0, lt=10_000)
    numbers: tuple[int, ...] = ()
    bad: int = -1  # raises
    large: int = -1  # has rows of more than four megabytes
"""

EXPERIMENT = """
import importlib
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

from vzlib import results

LOG = Path(os.environ["SQUARES_LOG"])
POWER = ".".join(["vzlib", "methods", "power"])  # no import that the key would see


def measure(settings):
    if settings.number == settings.bad:
        raise ZeroDivisionError("the bad number")
    numbers = settings.numbers or (settings.number,)
    points = [{"number": number, "rows": 1} for number in numbers]
    if settings.number == settings.large:
        points[0]["rows"] = 1_000_000
    each = [results.compute_each("squares", [point], _measure, uses=_used) for point in points]
    return pd.concat(table for tables in each for table in tables)


def _used(point):
    return [POWER] if point["number"] else ()


def _measure(points):
    ((number, rows),) = (tuple(point.values()) for point in points)
    (LOG / f"{number}.{os.getpid()}.start").touch()
    time.sleep(float(os.environ["SQUARES_SECONDS"]))  # the work, without the heat
    (LOG / f"{number}.{os.getpid()}.end").touch()
    power = importlib.import_module(POWER)
    square = power.square(number) if number else 0
    table = pd.DataFrame({"number": [number] * rows, "square": square})
    return [table.assign(noise=np.random.default_rng(0).random(rows)) if rows > 1 else table]
"""

PLOTTING = """
import os
from pathlib import Path

from vzlib.results import durable


def draw(rows, settings):
    if len(rows) > 1 and os.environ.get("SQUARES_FIGURE"):
        from matplotlib.figure import Figure

        from vzlib.plotting.save import save

        figure = Figure()
        figure.add_subplot().plot(rows["number"], rows["square"])
        save(figure, "squares", rows, settings)
    else:
        path = Path(os.environ["VZLIB_FIGURES"]) / "squares.csv"
        durable.write_whole(path, rows.to_csv(index=False))
"""

CELLS = (
    "from vzlib.parameters import validate\n\nsettings = validate('squares', globals())",
    "from vzlib.experiments.squares import measure\n\nrows = measure.measure(settings)",
    "from vzlib.experiments.squares.draw import draw\n\ndraw(rows, settings)",
)


class Clone:
    """A copy of the repository below `folder`, and what to do with it."""

    def __init__(self, folder: Path, seconds: float, figure: bool) -> None:
        self.folder, self.store, self.log = folder / "clone", folder / "results", folder / "log"
        self.log.mkdir()
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / "vzlib", self.folder / "vzlib", ignore=ignored)
        shutil.copytree(PAPER, self.folder / "params" / "paper", ignore=ignored)
        shutil.copy(REPOSITORY / "Snakefile", self.folder)
        self.write("vzlib/experiments/squares/__init__.py", "")
        self.write("vzlib/experiments/squares/settings.py", SETTINGS)
        self.write("vzlib/experiments/squares/measure.py", EXPERIMENT)
        self.write("vzlib/methods/power.py", "def square(number):\n    return number**2\n")
        self.write("vzlib/experiments/squares/draw.py", PLOTTING)
        self.notebook("# Squares", *CELLS)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "VZLIB_STORE_ONLY"},
            "PYTHONPATH": str(self.folder),
            "VZLIB_RESULTS": str(self.store),
            "SQUARES_LOG": str(self.log),
            "SQUARES_SECONDS": str(seconds),
            "SQUARES_FIGURE": "1" if figure else "",
            "OMP_NUM_THREADS": "1",
        }

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def notebook(self, title: str, *cells: str) -> None:
        parameters = new_code_cell("number = 1\nnumbers = []\nbad = large = -1")
        parameters.metadata["tags"] = ["parameters"]
        parts = [new_markdown_cell(title), parameters, *map(new_code_cell, cells)]
        (self.folder / "notebooks").mkdir(exist_ok=True)
        nbformat.write(new_notebook(cells=parts), self.folder / "notebooks" / "90_squares.ipynb")

    def sweep(self, numbers, **more) -> str:
        """Write a sweep file over `numbers`; returns its path."""
        content = {"notebook": "90_squares", "grid": {"number": list(numbers)}, **more}
        return str(self.write("params/sweeps/squares.yaml", yaml.safe_dump(content)))

    def start(self, *arguments: str, first: str = "") -> subprocess.Popen:
        """Start the coordinator in a process group of its own; `first` is code to run before."""
        command = [sys.executable, "-m", "vzlib", "sweep", *arguments]
        if first:
            code = f"{first}\nimport os, sys\nos.execv(sys.executable, sys.argv[1:])"
            command = [sys.executable, "-c", code, *command]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, first: str = "") -> subprocess.CompletedProcess:
        process = self.start(*arguments, first=first)
        out, err = process.communicate(timeout=600)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @property
    def place(self) -> Path:
        return self.store / "sweeps" / "squares"

    def computed(self, kind: str = "start") -> list[int]:
        """The numbers that were computed, one for each time."""
        return sorted(int(path.name.partition(".")[0]) for path in self.log.glob(f"*.{kind}"))

    def more_than(self, count: int) -> bool:
        return len(self.computed()) > count

    def published(self) -> list[Path]:
        return sorted((self.place / "points").glob("[!.]*.ipynb"))

    def stored(self) -> set[int]:
        """The numbers whose rows are in the store."""
        from vzlib import results

        records = map(results.provenance_of, results.entries(self.store))
        return {record["settings"]["number"] for record in records}

    def finish(self, path: str) -> None:
        """Publish a notebook for every point of a sweep file, as if it had been run."""
        code = (
            "import sys; from pathlib import Path\n"
            "from vzlib.runs.sweep import sweep_file as file\n"
            "for point in file.read(Path(sys.argv[1])).points: print(point.label)"
        )
        command = [sys.executable, "-c", code, path]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        (self.place / "points").mkdir(parents=True)
        for label in done.stdout.split():
            notebook = self.folder / "notebooks" / "90_squares.ipynb"
            shutil.copy(notebook, self.place / "points" / f"{label}.ipynb")

    def records(self) -> list[dict]:
        return [json.loads(path.read_text()) for path in (self.place / "records").glob("[!.]*")]

    def until(self, condition, process: subprocess.Popen) -> None:
        """Wait until the condition holds or the process has ended."""
        limit = time.monotonic() + 120
        while not condition() and process.poll() is None:
            assert time.monotonic() < limit, "nothing happened for two minutes"
            time.sleep(0.01)

    def settle(self) -> None:
        """Wait until no job that a killed coordinator left is running."""
        from vzlib.results import durable

        for path in (self.place / "locks").glob("*"):
            with durable.locked(path, path.name):
                pass


@pytest.fixture
def clone(tmp_path):
    """Function: a clone whose experiment computes for so many seconds, and perhaps draws."""
    made = []

    def make(seconds=0.0, figure=False):
        folder = tmp_path / f"{len(made)}"
        folder.mkdir()
        made.append(Clone(folder, seconds, figure))
        return made[-1]

    yield make
    for each in made:
        for state in each.records() if (each.place / "records").exists() else ():
            if state["state"] == "running":
                try:
                    os.kill(state["process"], signal.SIGKILL)
                except ProcessLookupError:
                    continue
