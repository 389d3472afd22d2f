"""Run the notebooks in reading order: `vzlib reproduce [--scale quick] [NOTEBOOK ...]`.

Each is executed by papermill with params/<notebook>/<scale>.yaml, in a kernel of this interpreter,
and published as results/notebooks/<notebook>.ipynb. A failure stops its notebook and no other.
"""

import copy
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import papermill
from traitlets.config import Config

from vzlib import notebooks, results, typed_values
from vzlib.parameters import settings_class, validate
from vzlib.paths import FIGURES, MEASURED, NOTEBOOKS, REPOSITORY
from vzlib.plotting.save import folder
from vzlib.results import durable, shipped
from vzlib.runs import compare, figures

# One by one, when the others have ended: times want the machine alone, the ledger reads them all.
LAST = ("08_efficiency", "15_claims")
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
        changes = {
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
        before = {name: os.environ.get(name) for name in changes}
        os.environ.update(changes)
        try:
            yield Config(KernelManager={"transport": "ipc", "ip": str(Path(folder, "kernel"))})
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


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


def run(
    notebooks: Sequence[Path],
    scale: str = "default",
    typed: Sequence[tuple[str, str]] = (),
    jobs: int = 1,
) -> list[str]:
    """Run notebooks, `jobs` at a time, a line for each; returns what failed, one text each.

    Those in LAST start when all others have ended. Notebooks at work together share the processors'
    threads. typed: names and values of parameters, as a person types them.
    """
    logging.getLogger("papermill").setLevel(logging.ERROR)  # the notebook reports these itself
    failures, number = [], 0
    for turn, group in groupby(sorted(notebooks, key=_turn), _turn):  # a stable sort
        stage = list(group)
        at_once = min(jobs, len(stage))
        with own_kernel(at_once, timed=turn > 0) as config, ExitStack() as stack:
            one = partial(_run, scale, typed, config)
            each: Callable[..., Iterator[tuple[float, str | None]]] = map
            if at_once > 1:
                each = stack.enter_context(ProcessPoolExecutor(at_once)).map
            outcomes = each(one, stage)
            for notebook in stage:
                number += 1
                print(f"[{number}/{len(notebooks)}] {notebook.stem:28}", end=" ", flush=True)
                seconds, failure = next(outcomes)
                failures += [failure] if failure else []
                print(f"{seconds:7.1f} s{'  FAILED' if failure else ''}", flush=True)
    return failures


def _turn(notebook: Path) -> int:
    return LAST.index(notebook.stem) + 1 if notebook.stem in LAST else 0


def given(notebook: Path, scale: str, typed: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """What a notebook is given: the parameters of its scale, and over them those that were typed.

    Relative paths count from the working folder, where the command was typed.

    Raises:
        ValueError: one is not allowed, or the file of the scale cannot be read.
    """
    cls = settings_class(notebooks.analysis(notebook.stem))
    values = notebooks.parameters(notebook.stem, scale) | typed_values.read(cls, typed)
    values = typed_values.with_absolute_paths(cls, values)
    validate(cls, {**notebooks.defaults(notebook), **values})
    return values


def _run(
    scale: str, typed: Sequence[tuple[str, str]], config: Config, notebook: Path
) -> tuple[float, str | None]:
    """Seconds taken, and what failed."""
    start, failure = time.perf_counter(), None
    own = copy.deepcopy(config)
    own.KernelManager.ip += f"-{notebook.stem[:2]}"  # kernels at work at once need own sockets
    try:
        values = given(notebook, scale, typed)
        execute(notebook, values, results.location() / "notebooks" / notebook.name, own)
    except Exception as error:
        failure = f"{notebook.stem}, {explain(error)}"
    return time.perf_counter() - start, failure


def explain(error: Exception) -> str:
    """What failed, in one line, with the cell if it was one."""
    if isinstance(error, papermill.PapermillExecutionError):
        return f"cell {error.exec_count}: {error.ename}: {error.evalue}"
    return f"{type(error).__name__}: {error}"


def reproduce(
    names: Sequence[str] | None,
    scale: str = "default",
    typed: Sequence[tuple[str, str]] = (),
    jobs: int = 1,
    publish: bool = False,
) -> int:
    """Run notebooks, write the index of figures, say what differs from those that ship.

    What ships in measured/ is measured again, unless nothing may be computed: then it is read.
    Returns 1 when a notebook failed, else 0.

    names: as `notebooks.find` takes them; None is all. typed: names and values of parameters, for
    every notebook that runs. publish: figures go to figures/ of the repository, what they were
    drawn from to measured/ if all notebooks ran.

    Raises:
        ValueError: something given is not allowed; nothing ran.
        durable.NotWritable: results or figures cannot be kept; nothing ran.
    """
    chosen = notebooks.find(names)
    if not chosen:
        raise ValueError(f"no notebooks in {NOTEBOOKS}")
    if problems := list(_problems(chosen, scale, typed)):
        raise ValueError("\n".join(problems))
    if publish:
        _publish(scale, typed)
    for place, *told in (
        (results.location(), "the store", "VZLIB_RESULTS"),
        (folder(), "the folder of figures", "VZLIB_FIGURES"),
    ):
        with durable.writing(place, *told):
            durable.check_writable(place)
    if not results.reading_only():
        os.environ[shipped.OFF] = "0"
    start = time.perf_counter()
    with _noting_what_is_used() as used:
        failures = run(chosen, scale, typed, jobs)
        if publish and not failures and names is None:
            print(f"{shipped.publish(used())} measurements in {MEASURED}")
    good = len(chosen) - len(failures)
    print(f"{good} of {len(chosen)} notebooks in {time.perf_counter() - start:.1f} s")
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    if index := figures.write_index(folder()):
        print(f"{len(figures.drawn(folder()))} figures and tables in {index}")
    if difference := compare.told(folder(), FIGURES):
        print(difference)
    return 1 if failures else 0


@contextmanager
def _noting_what_is_used() -> Iterator[Callable[[], list[Path]]]:
    """Gives a function that lists the entries that notebooks have read so far."""
    with tempfile.NamedTemporaryFile() as file:
        os.environ[shipped.USED] = file.name
        try:
            yield lambda: [Path(line) for line in Path(file.name).read_text("utf-8").splitlines()]
        finally:
            del os.environ[shipped.USED]


def _problems(
    chosen: Sequence[Path], scale: str, typed: Sequence[tuple[str, str]]
) -> Iterator[str]:
    for notebook in chosen:
        try:
            given(notebook, scale, typed)
        except ValueError as error:
            yield f"{notebook.stem}: {error}"


def _publish(scale: str, typed: Sequence[tuple[str, str]]) -> None:
    """Let figures go to figures/, which is committed: at the default scale and nothing else."""
    if scale != "default" or typed or os.environ.get("VZLIB_FIGURES"):
        raise ValueError(
            "--publish writes figures/ at the default scale: without --scale, -p and $VZLIB_FIGURES"
        )
    os.environ["VZLIB_FIGURES"] = str(FIGURES)
