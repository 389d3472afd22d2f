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
from contextlib import closing
from pathlib import Path
from typing import Any

from vzlib.results import durable
from vzlib.runs.environment import variables
from vzlib.runs.kept_kernel import KeptKernel
from vzlib.runs.kernel import execute, explain, own_kernel
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
        closing(KeptKernel(config)) as kernel,
    ):
        for label in labels:
            with durable.locked(lock(run, label), label):
                if not published(run, label).exists():
                    failed += not _execute(plan, label, attempt, kernel)
    if not failed:
        durable.write_whole(run / "marks" / job, "")
    return failed


def _execute(plan: dict[str, Any], label: str, attempt: int, kernel: KeptKernel) -> bool:
    run, start = Path(plan["run"]), time.time()
    for left in published(run, label).parent.glob(f".{label}.*"):  # by one who was killed
        left.unlink(missing_ok=True)
    state = {"process": os.getpid(), "host": socket.gethostname(), "attempt": attempt}
    _write(run, label, {**state, "state": "running"})
    try:
        values, place = plan["points"][label], published(run, label)
        cwd = Path(plan["cwd"])
        with kernel.without_variables() as manager:
            execute(Path(plan["notebook"]), values, place, kernel.config, cwd=cwd, km=manager)
    except Exception as error:
        _write(run, label, {**state, "state": "failed", "error": explain(error)})
        return False
    _write(run, label, {**state, "state": "done", "seconds": round(time.time() - start, 1)})
    return True


def _write(run: Path, label: str, state: dict[str, Any]) -> None:
    durable.write_whole(record(run, label), json.dumps(state) + "\n")


def _interrupt_once(*_: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second would disturb the tidying up
    raise KeyboardInterrupt
