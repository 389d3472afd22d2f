"""A notebook, executed by papermill in a kernel of this interpreter."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import papermill
from traitlets.config import Config

from vzlib.paths import REPOSITORY
from vzlib.results import durable
from vzlib.runs.environment import variables

KERNEL = """
import sys
sys.path[0] = {!r}
from ipykernel.kernelapp import launch_new_instance
launch_new_instance()
"""
OURS = "Python 3 (ipykernel)"  # what Jupyter calls its own, so that an opened copy is as saved
SOCKET = 107  # letters of the path of a socket, of which a kernel's own part are
OWN = 30


def execute(
    notebook: Path,
    values: dict[str, Any],
    published: Path,
    config: Config,
    *,
    cwd: Path | None = None,
    **engine: Any,
) -> None:
    """Run one notebook in the kernel that `own_kernel` set up; publish it by one rename.

    A notebook that fails is published too, as `<name>.failed.ipynb`, and leaves an earlier good
    copy alone. It works in the folder `cwd`, by default its own; `engine` goes to papermill.

    Raises:
        papermill.PapermillExecutionError: a cell failed.
        RuntimeError: the kernel died.
    """
    published.parent.mkdir(parents=True, exist_ok=True)
    failed = published.with_suffix(".failed.ipynb")
    aside = published.with_name(f".{published.stem}.{os.getpid()}.ipynb")
    try:
        papermill.execute_notebook(
            as_it_is(notebook),
            as_it_is(aside),
            values,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=cwd or notebook.parent,
            config=config,
            **engine,
        )
        durable.publish(aside, published)
    except Exception:
        if aside.exists():
            durable.publish(aside, failed)
        raise
    finally:
        aside.unlink(missing_ok=True)
    failed.unlink(missing_ok=True)


def as_it_is(path: Path) -> str:
    """A path in which papermill finds no {name} to fill in."""
    return str(path).replace("{", "{{").replace("}", "}}")


@contextmanager
def own_kernel(jobs: int = 1, timed: bool = False, code: Path = REPOSITORY) -> Iterator[Config]:
    """Make the kernel "python3" this interpreter, whatever kernels the machine has registered.

    The kernel imports vzlib from the folder `code`, sees no start-up files of the user and prints
    nothing of its own. Gives the configuration to start kernels with: they talk through sockets in
    a folder of this run, so that no port can collide and nobody else can listen. jobs: kernels that
    will work at once. timed: their threads shall wait as those of any process do, so that times are
    those one would see.

    Raises:
        ValueError: there is no folder for temporary files that sockets can be in.
    """
    with tempfile.TemporaryDirectory(dir=_place_for_sockets()) as folder:
        kernel = Path(folder, "kernels", "python3")
        kernel.mkdir(parents=True)
        # A kernel told to stop may log the interrupt as an error; what fails is in the notebook.
        command = [sys.executable, "-c", KERNEL.format(str(code)), "--log-level=CRITICAL"]
        command += ["-f", "{connection_file}"]
        specification = {"argv": command, "display_name": OURS, "language": "python"}
        (kernel / "kernel.json").write_text(json.dumps(specification), encoding="utf-8")
        changes: dict[str, str | None] = {
            "JUPYTER_PATH": folder,  # searched first
            "JUPYTER_RUNTIME_DIR": folder,
            "IPYTHONDIR": str(Path(folder, "ipython")),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        if not timed:
            # Threads that wait by spinning stall each other when the machine has other work.
            changes["OMP_WAIT_POLICY"] = os.environ.get("OMP_WAIT_POLICY", "PASSIVE")
        if jobs > 1:
            threads = str(max(1, (os.cpu_count() or 1) // jobs))
            changes["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", threads)
        with variables(changes):
            yield Config(KernelManager={"transport": "ipc", "ip": str(Path(folder, "kernel"))})


def _place_for_sockets() -> str:
    """Where temporary files go, if sockets can be there, or the next place where they can."""
    places = (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm", os.getcwd())
    for place in places:
        short = len(os.fsencode(place)) <= SOCKET - OWN
        # Lists of folders are joined by the other letter that is not allowed.
        if short and os.pathsep not in place and os.access(place, os.W_OK | os.X_OK):
            return place
    raise ValueError(
        f"TMPDIR={tempfile.gettempdir()!r} is no place for the sockets of a kernel: a folder is "
        f"needed that can be written, with at most {SOCKET - OWN} letters and no {os.pathsep!r}"
    )


def explain(error: Exception) -> str:
    """What failed, in one line, with the cell if it was one."""
    if isinstance(error, papermill.PapermillExecutionError):
        return f"cell {error.exec_count}: {error.ename}: {error.evalue}"
    return f"{type(error).__name__}: {error}"
