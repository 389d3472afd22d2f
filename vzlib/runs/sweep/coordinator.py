"""Runs a sweep: one coordinator, Snakemake starts the jobs, one line tells how it goes."""

import hashlib
import json
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from vzlib import results
from vzlib.paths import PACKAGE
from vzlib.results import durable
from vzlib.runs.environment import variables
from vzlib.runs.sweep import frozen, places, sweep_file
from vzlib.runs.sweep.cluster import Slurm
from vzlib.runs.sweep.progress import RETRIES, Progress, state_of
from vzlib.runs.sweep.sweep_file import Point, Sweep


class Refused(RuntimeError):
    """Another coordinator runs this sweep."""


def folder(sweep: Sweep) -> Path:
    """Where a sweep keeps what it makes, below the store of results."""
    return results.location() / "sweeps" / sweep.name


def run(sweep: Sweep, jobs: int, slurm: Slurm | None = None) -> list[str]:
    """Compute what is missing of a sweep, then draw; returns what failed, one text each.

    jobs: how many run at a time on this machine. slurm: sends them to a cluster instead.

    Raises:
        Refused: another coordinator is at work on it.
        SweepError: the experiment refuses a point; nothing ran.
        ValueError: Snakemake is not installed; nothing ran.
        durable.NotWritable: nothing ran, unless the disk filled meanwhile.
    """
    place = folder(sweep)
    missing = _missing(sweep, place)
    if not missing and not _drawing(sweep, place):
        print(f"{sweep.name}: {len(sweep.points)} points, 0 to compute", flush=True)
        return []  # a store that can only be read is enough
    if find_spec("snakemake") is None:
        raise ValueError("a sweep needs Snakemake: pip install 'vzlib[sweep]', or vzlib[slurm]")
    sweep_file.check(sweep, missing)
    with durable.writing(results.location()), _alone(place, sweep.name):
        durable.check_writable(place)
        missing = _missing(sweep, place)  # another coordinator may just have ended
        print(f"{sweep.name}: {len(sweep.points)} points, {len(missing)} to compute", flush=True)
        version = _drawing(sweep, place)
        copy = _freeze(sweep, place)
        with variables(_shared(slurm.cpus if slurm else max(1, (os.cpu_count() or 1) // jobs))):
            if missing:
                plan = _plan(sweep, missing, place, copy)
                with Progress(place, sweep.points) as progress:
                    _snakemake(place, plan, jobs, slurm, progress)
            failures = list(_failures(sweep, place))
            if version and not failures:
                failures += _draw(sweep, place, copy, version)
        return failures


def _missing(sweep: Sweep, place: Path) -> list[Point]:
    return [p for p in sweep.points if not places.published(place, p.label).exists()]


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
        try:
            yield
        finally:
            handle.truncate(0)


def _freeze(sweep: Sweep, place: Path) -> Path:
    copy = frozen.freeze(sweep.notebook, place / "code")
    if sweep_file.code_of(copy / "notebooks" / sweep.notebook.name, copy) != sweep.code:
        raise sweep_file.SweepError("the code changed while the sweep started; start it again")
    frozen.remove_unused(place, copy)
    return copy


def _shared(threads: int) -> dict[str, str]:
    """Lets the processes that this one starts use the same store and so many threads."""
    return {
        "VZLIB_RESULTS": str(results.location()),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
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
        "points": {p.label: p.values for p in missing},
        "jobs": {name[:16]: [p.label for p in group] for name, group in names},
    }
    text = json.dumps(plan, indent=1)
    path = copy / f"plan-{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
    durable.write_whole(path, text)
    shutil.rmtree(place / "marks", ignore_errors=True)
    for each in missing:
        if state_of(place, each.label).get("state") == "failed":  # in an earlier run
            places.record(place, each.label).unlink()
    return path


def _snakemake(place: Path, plan: Path, jobs: int, slurm: Slurm | None, progress: Progress) -> None:
    """Let Snakemake run the jobs of a plan, in this process, its output going to a file."""
    # What the user set up for other workflows would turn this run into another.
    changes: dict[str, str | None] = {"SNAKEMAKE_PROFILE": None}
    if not _home_is_writable():  # for what Snakemake caches
        changes["XDG_CACHE_HOME"] = str(place / "cache")
    options = ["--snakefile", str(plan.parent / "Snakefile"), "--directory", str(place)]
    options += ["--config", f"plan={plan.name}", "--keep-going", "--rerun-incomplete", "--nolock"]
    options += ["--retries", str(RETRIES), "--profile", "none", "--workflow-profile", "none"]
    options += ["--rerun-triggers", "mtime", "--drop-metadata", "--scheduler", "greedy"]
    options += slurm.options() if slurm else ["--cores", str(jobs)]
    stop = signal.signal(signal.SIGINT, lambda *_: progress.interrupt())
    here = Path.cwd()
    try:
        with variables(changes), _into(place / "snakemake.log"):
            from snakemake.cli import main  # as it is imported it may read what is set

            main(options)
    except SystemExit:
        pass  # what failed is read from the records
    finally:
        signal.signal(signal.SIGINT, stop)
        os.chdir(here)
    if progress.interrupted:
        raise KeyboardInterrupt


def _home_is_writable() -> bool:
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        durable.check_writable(cache)
    except (OSError, RuntimeError):
        return False
    return True


def _drawing(sweep: Sweep, place: Path) -> str:
    """A hash of what the drawing shows and of all code; empty if there is nothing to be drawn."""
    if sweep.draw is None:
        return ""
    digest = hashlib.sha256(json.dumps([sweep.draw, [p.key for p in sweep.points]]).encode())
    for path in (sweep.notebook, *sorted(PACKAGE.rglob("*.py"))):
        digest.update(path.read_bytes())
    version, last = digest.hexdigest(), place / "drawn"
    return "" if last.is_file() and last.read_text(encoding="utf-8") == version else version


def _draw(sweep: Sweep, place: Path, copy: Path, version: str) -> list[str]:
    """Run the notebook once more, on stored results only; its figures go to `<run>/figures`."""
    from vzlib.runs import kernel

    (place / "figures").mkdir(exist_ok=True)
    changes = {"VZLIB_STORE_ONLY": "1", "VZLIB_FIGURES": str(place / "figures")}
    notebook, cwd = copy / "notebooks" / sweep.notebook.name, sweep.notebook.parent
    published = place / sweep.notebook.name
    # What fails is in the notebook; a kernel that ends may upset the sockets it talked through.
    logging.getLogger("tornado").setLevel(logging.CRITICAL)
    try:
        with (
            variables(changes),
            _into(place / "snakemake.log"),
            kernel.own_kernel(code=copy) as config,
        ):
            kernel.execute(notebook, sweep.draw or {}, published, config, cwd=cwd)
    except Exception as error:
        failure = f"{sweep.notebook.stem} drawing, {kernel.explain(error)}"
        if getattr(error, "ename", "") == results.MissingResult.__name__:
            again = f"remove {place / 'points'} and start again"
            failure += f"; the grid lacks it, or the store lost it: then {again}"
        return [failure]
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
        finally:  # before the file is closed, which fails when the disk is full
            for number, descriptor in enumerate(kept, start=1):
                os.dup2(descriptor, number)
                os.close(descriptor)


def _failures(sweep: Sweep, place: Path) -> Iterator[str]:
    lost = 0
    for each in sweep.points:
        if not places.published(place, each.label).exists():
            if error := state_of(place, each.label).get("error"):
                yield f"{sweep.notebook.stem} {each.label}, {error}"
            else:
                lost += 1
    if lost:
        yield f"{lost} points ended without an error of their own; see {place / 'snakemake.log'}"
        try:  # the disk may have been too full to write an error down
            with durable.writing(results.location()):
                durable.check_writable(place)
        except durable.NotWritable as error:
            yield str(error)
