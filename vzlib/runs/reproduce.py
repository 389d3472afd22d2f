"""Run the notebooks in reading order: `vzlib reproduce [--scale quick] [NOTEBOOK ...]`.

Each is executed by papermill with params/<notebook>/<scale>.yaml, in a kernel of this interpreter,
and published as results/notebooks/<notebook>.ipynb. A failure stops its notebook and no other.
"""

import copy
import logging
import multiprocessing.util
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

from traitlets.config import Config

from vzlib import notebooks, results, typed_values
from vzlib.parameters import settings_class, validate
from vzlib.paths import FIGURES, MEASURED, NOTEBOOKS
from vzlib.plotting.save import folder
from vzlib.results import durable, shipped
from vzlib.runs import compare, figures
from vzlib.runs.environment import variables
from vzlib.runs.kept_kernel import KeptKernel
from vzlib.runs.kernel import execute, explain, own_kernel

# One by one, when the others have ended: times want the machine alone, the ledger reads them all.
# Where nothing is measured, at once with the others, and first, as they take longest.
LAST = ("08_efficiency", "15_claims")
_kept: list[KeptKernel] = []  # of a worker where nothing is measured, the one it keeps


def run(
    notebooks: Sequence[Path],
    scale: str = "default",
    typed: Sequence[tuple[str, str]] = (),
    jobs: int = 1,
) -> list[str]:
    """Run notebooks, `jobs` at a time, a line for each; returns what failed, one text each.

    Those in LAST start when all others have ended. Notebooks at work together share the processors'
    threads. Where nothing may be computed, all are one stage and as many kernels as are at work
    execute them. typed: names and values of parameters, as a person types them.
    """
    logging.getLogger("papermill").setLevel(logging.ERROR)  # the notebook reports these itself
    failures, number = [], 0
    for turn, stage in _stages(notebooks):
        at_once = min(jobs, len(stage))
        with own_kernel(at_once, timed=turn > 0) as config, ExitStack() as stack:
            one = partial(_run, scale, typed, config)
            each: Callable[..., Iterator[tuple[float, str | None]]] = map
            if results.reading_only():
                pool = ProcessPoolExecutor(at_once, initializer=_keep_kernel, initargs=(config,))
                each = stack.enter_context(pool).map
            elif at_once > 1:
                each = stack.enter_context(ProcessPoolExecutor(at_once)).map
            outcomes = each(one, stage)
            for notebook in stage:
                number += 1
                print(f"[{number}/{len(notebooks)}] {notebook.stem:28}", end=" ", flush=True)
                seconds, failure = next(outcomes)
                failures += [failure] if failure else []
                print(f"{seconds:7.1f} s{'  FAILED' if failure else ''}", flush=True)
    return failures


def _stages(notebooks: Sequence[Path]) -> list[tuple[int, list[Path]]]:
    """Which notebooks may be at work together: the first stage is 0."""
    in_turn = sorted(notebooks, key=_turn)  # a stable sort
    if results.reading_only():
        return [(0, sorted(in_turn, key=_turn, reverse=True))]
    return [(turn, list(group)) for turn, group in groupby(in_turn, _turn)]


def _turn(notebook: Path) -> int:
    return LAST.index(notebook.stem) + 1 if notebook.stem in LAST else 0


def _keep_kernel(config: Config) -> None:
    """Let this process, a worker, execute all its notebooks in one kernel, which ends with it."""
    _kept.append(KeptKernel(_with_own_sockets(config, f"{os.getpid()}")))
    multiprocessing.util.Finalize(None, _kept[0].close, exitpriority=0)


def _with_own_sockets(config: Config, name: str) -> Config:
    own = copy.deepcopy(config)
    own.KernelManager.ip += f"-{name}"
    return own


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
    own = _with_own_sockets(config, notebook.stem[:2])
    try:
        values = given(notebook, scale, typed)
        published = results.location() / "notebooks" / notebook.name
        if _kept:
            with _kept[0].without_variables() as manager:
                execute(notebook, values, published, _kept[0].config, km=manager)
        else:
            execute(notebook, values, published, own)
    except Exception as error:
        failure = f"{notebook.stem}, {explain(error)}"
    return time.perf_counter() - start, failure


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
    changes: dict[str, str | None] = {}
    if publish:
        _check_publishable(scale, typed)
        changes["VZLIB_FIGURES"] = str(FIGURES)
    if not results.reading_only():
        changes[shipped.OFF] = "0"
    with variables(changes):
        _check_writable()
        start = time.perf_counter()
        with _noting_what_is_used() as used:
            failures = run(chosen, scale, typed, jobs)
            if publish and not failures and names is None:
                print(f"{shipped.publish(used())} measurements in {MEASURED}")
        seconds = time.perf_counter() - start
        print(f"{len(chosen) - len(failures)} of {len(chosen)} notebooks in {seconds:.1f} s")
        for failure in failures:
            print(f"failed: {failure}", file=sys.stderr)
        if index := figures.write_index(folder()):
            print(f"{len(figures.drawn(folder()))} figures and tables in {index}")
        if difference := compare.told(folder(), FIGURES):
            print(difference)
    return 1 if failures else 0


def _check_writable() -> None:
    for place, *told in (
        (results.location(), "the store", "VZLIB_RESULTS"),
        (folder(), "the folder of figures", "VZLIB_FIGURES"),
    ):
        with durable.writing(place, *told):
            durable.check_writable(place)


@contextmanager
def _noting_what_is_used() -> Iterator[Callable[[], list[Path]]]:
    """Gives a function that lists the entries that notebooks have read so far."""
    with tempfile.NamedTemporaryFile() as file, variables({shipped.USED: file.name}):
        yield lambda: [Path(line) for line in Path(file.name).read_text("utf-8").splitlines()]


def _problems(
    chosen: Sequence[Path], scale: str, typed: Sequence[tuple[str, str]]
) -> Iterator[str]:
    for notebook in chosen:
        try:
            given(notebook, scale, typed)
        except ValueError as error:
            yield f"{notebook.stem}: {error}"


def _check_publishable(scale: str, typed: Sequence[tuple[str, str]]) -> None:
    """Figures go to figures/, which is committed, at the default scale and nothing else."""
    if scale != "default" or typed or os.environ.get("VZLIB_FIGURES"):
        raise ValueError(
            "--publish writes figures/ at the default scale: without --scale, -p and $VZLIB_FIGURES"
        )
