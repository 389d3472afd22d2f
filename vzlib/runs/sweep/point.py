"""One job of a sweep, in a process of its own: its points, each published once.

`<run>/points/<label>.ipynb` is the executed notebook of a finished point, published by one rename.
Who executes a point holds `<run>/locks/<label>`. A job that finds the lock held waits: the holder
may be left from a coordinator that was killed, and it goes on to finish its point.
"""

import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbformat.v4 import new_code_cell, new_notebook
from traitlets.config import Config

from vzlib.results import durable
from vzlib.runs.environment import variables
from vzlib.runs.kernel import as_it_is, execute, explain, own_kernel
from vzlib.runs.sweep.places import code_lock, lock, published, record


def run_job(plan_file: Path, job: str, attempt: int = 1) -> int:
    """Execute those points of a job that are not finished; returns how many failed.

    They share a kernel, so that a model which stays loaded is loaded once; its variables are
    removed after each point.
    """
    signal.signal(signal.SIGINT, _interrupt_once)
    plan = json.loads(plan_file.read_text(encoding="utf-8"))
    run, labels = Path(plan["run"]), plan["jobs"][job]
    failed = 0
    with (
        durable.try_lock(code_lock(run, plan_file.parent), shared=True),
        own_kernel() as config,
        tempfile.TemporaryDirectory() as figures,
        variables({"VZLIB_FIGURES": figures}),  # those of single points are in their notebooks
        _kernel(config) as kernel,
    ):
        for label in labels:
            with durable.locked(lock(run, label), label):
                if not published(run, label).exists():
                    failed += not _execute(plan, label, attempt, config, kernel)
    if not failed:
        durable.write_whole(run / "marks" / job, "")
    return failed


def _execute(
    plan: dict[str, Any], label: str, attempt: int, config: Config, kernel: AsyncKernelManager
) -> bool:
    run, start = Path(plan["run"]), time.time()
    for left in published(run, label).parent.glob(f".{label}.*"):  # by one who was killed
        left.unlink(missing_ok=True)
    state = {"process": os.getpid(), "host": socket.gethostname(), "attempt": attempt}
    _write(run, label, {**state, "state": "running"})
    try:
        _forget_variables(kernel, config)
        values, place = plan["points"][label], published(run, label)
        cwd = Path(plan["cwd"])
        execute(Path(plan["notebook"]), values, place, config, cwd=cwd, km=kernel)
    except Exception as error:
        _write(run, label, {**state, "state": "failed", "error": explain(error)})
        return False
    _write(run, label, {**state, "state": "done", "seconds": round(time.time() - start, 1)})
    return True


def _write(run: Path, label: str, state: dict[str, Any]) -> None:
    durable.write_whole(record(run, label), json.dumps(state) + "\n")


@contextmanager
def _kernel(config: Config) -> Iterator[AsyncKernelManager]:
    """A kernel that starts with the first notebook and ends with the job."""
    kernel = AsyncKernelManager(kernel_name="python3", config=config)
    try:
        yield kernel
    finally:
        if kernel.has_kernel:
            run_sync(kernel.shutdown_kernel)(now=True)


def _forget_variables(kernel: AsyncKernelManager, config: Config) -> None:
    if not kernel.has_kernel:
        return
    if not run_sync(kernel.is_alive)():  # the point before killed it: start another
        run_sync(kernel.restart_kernel)(now=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "reset.ipynb")
        nbformat.write(new_notebook(cells=[new_code_cell("%reset -f")]), path)
        quiet: dict[str, Any] = {"progress_bar": False, "kernel_name": "python3"}
        papermill.execute_notebook(
            as_it_is(path), None, language="python", km=kernel, config=config, **quiet
        )


def _interrupt_once(*_: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second would disturb the tidying up
    raise KeyboardInterrupt
