"""Where a result came from: commit, package versions, machine, and what it took."""

import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vzlib.paths import REPOSITORY

FROZEN = "frozen.json"  # what `commit` gave, in a copy of the code
PACKAGES = (
    "vzlib",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "pillow",
    "scikit-image",
    "scikit-learn",
    "matplotlib",
)


def record() -> Callable[[], dict[str, Any]]:
    """Note the state of code and clock now; call the returned function when the work is done.

    The commit is that of the start, because an edit made meanwhile was not what ran.
    """
    start, state = time.perf_counter(), commit()

    def finish() -> dict[str, Any]:
        return {
            **state,
            "packages": _versions(),
            "python": platform.python_version(),
            "platform": platform.platform(),
            **_device(),
            "seconds": round(time.perf_counter() - start, 3),
            "peak_process_memory_mib": _peak_memory(),
            "finished_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    return finish


def _git(*arguments: str) -> str | None:
    try:
        command = ["git", "-C", str(REPOSITORY), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def commit() -> dict[str, Any]:
    """The commit of the code, and whether anything but figures differs from it; None if unknown."""
    frozen = REPOSITORY / FROZEN  # a copy of the code says itself where it was taken from
    if frozen.is_file():
        return dict(json.loads(frozen.read_text(encoding="utf-8")))
    # Redrawn figures make no result doubtful; any other change does.
    changes = _git("status", "--porcelain", "--", ".", ":(exclude)figures")
    dirty = None if changes is None else bool(changes)
    return {"commit": _git("rev-parse", "HEAD"), "dirty": dirty}


def _versions() -> dict[str, str | None]:
    def version(name: str) -> str | None:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return None

    return {name: version(name) for name in PACKAGES}


def _device() -> dict[str, Any]:
    """Processor, accelerator and threads; torch is asked only if the work has imported it."""
    torch = sys.modules.get("torch")
    accelerator = torch is not None and torch.cuda.is_available()
    return {
        "processor": processor(),
        "accelerator": torch.cuda.get_device_name() if torch and accelerator else None,
        "threads": torch.get_num_threads() if torch else None,
        "cores": os.cpu_count(),
    }


def processor() -> str:
    """The name of the processor, as well as the system tells it."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _peak_memory() -> float:
    """Largest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
