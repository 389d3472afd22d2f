"""Where a result came from: commit, package versions, machine, and what it took."""

import functools
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
OWN_FILE = "vzlib/results/provenance.py"
CONFIGURATION = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")  # git's own files
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


def commit() -> dict[str, Any]:
    """The commit of the code, and whether anything but figures differs from it; None if unknown.

    A repository that merely lies around the code, or that the surroundings name, is not asked.
    """
    frozen = REPOSITORY / FROZEN  # a copy of the code says itself where it was taken from
    if frozen.is_file():
        return dict(json.loads(frozen.read_text(encoding="utf-8")))
    # The prefix is empty at the root of a repository, and this file is in one that is ours.
    told = _git("rev-parse", "--show-prefix", "HEAD", f"HEAD:{OWN_FILE}")
    if told is None or told[0]:
        return {"commit": None, "dirty": None}
    # Redrawn figures make no result doubtful; any other change does.
    everything = ("--untracked-files=normal", "--ignore-submodules=none")
    changes = _git("status", "--porcelain", *everything, "--", ".", ":(exclude)figures")
    return {"commit": told[1], "dirty": None if changes is None else bool(changes)}


def _git(*arguments: str) -> list[str] | None:
    """The lines that git prints in our folder; None if it is missing or refuses."""
    # A hook of another repository, for one, names that repository in the environment.
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    own |= {name: os.environ[name] for name in CONFIGURATION if name in os.environ}
    # Code that runs may be asked for its commit, whoever owns its files.
    command = ["git", "--no-optional-locks", "-c", f"safe.directory={REPOSITORY}"]
    try:
        done = subprocess.run(
            [*command, "-C", str(REPOSITORY), *arguments],
            capture_output=True, env=own, timeout=30, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").splitlines()


@functools.cache
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
