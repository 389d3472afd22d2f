"""The sweep file: a notebook, fixed parameters and a grid, checked as a whole before anything runs.

notebook: 06_token_budget
fixed: {model: pico, each: 120}    # parameters that all points share
grid:                              # a point for every combination; each value as in a notebook
  budgets: [[192], [128], [64]]
draw: {budgets: [192, 128, 64]}    # once all points are there: the notebook from stored results
group: 3                           # points that a job computes one after the other (default 1)

Relative paths among the values count from the working folder, where the command is typed.
"""

import functools
import hashlib
import importlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from vzlib import notebooks, plain_yaml
from vzlib.parameters import ParameterError, settings_class, unknown, validate
from vzlib.paths import NOTEBOOKS, REPOSITORY
from vzlib.results import sources
from vzlib.typed_values import with_absolute_paths

KEYS = ("notebook", "fixed", "grid", "draw", "group")


class SweepError(ValueError):
    """All that is wrong with a sweep file."""


class Point(NamedTuple):
    """A point of a sweep.

    values: parameters of the notebook. key: hash of all that its outcome depends on: the code cells
    of the notebook, the modules that they use and measure, settings, model and questions.
    """

    values: dict[str, Any]
    settings: BaseModel
    key: str
    label: str


class Sweep(NamedTuple):
    """A checked sweep.

    code: fingerprint of the notebook and what it uses. draw: None if there is nothing to draw.
    """

    name: str
    notebook: Path
    code: str
    points: list[Point]
    draw: dict[str, Any] | None
    group: int


def read(path: Path, folder: Path = NOTEBOOKS) -> Sweep:
    """Read and check a sweep file; nothing runs and no model is loaded.

    Raises:
        SweepError: naming every problem of the file.
    """
    try:
        content = plain_yaml.mapping(path)
    except ValueError as error:
        raise SweepError(str(error)) from None
    problems = [unknown(str(key), KEYS) for key in content if key not in KEYS]
    notebook = _notebook(content.get("notebook"), folder, problems)
    fixed, grid, draw, group = _parts(content, problems)
    points: list[Point] = []
    drawn = None
    if notebook and not problems:
        here = Path.cwd()
        with chdir(folder):  # where the notebook runs
            code = _code(notebook, problems)
            points = _points(notebook, code, fixed, grid, here, problems)
            if draw is not None:
                drawn = _absolute(notebook, {**fixed, **draw}, here, problems)
                _settings(notebook, drawn, problems)
    if problems or notebook is None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise SweepError("\n  ".join([f"{count} with {path}:", *problems]))
    return Sweep(path.stem, notebook, code, points, drawn, group)


def check(sweep: Sweep, points: list[Point]) -> None:
    """Let the experiment check the settings of `points` by its function `plan`, if it has one.

    Raises:
        SweepError: with what it refuses.
    """
    name = f"vzlib.experiments.{notebooks.analysis(sweep.notebook.stem)}.measure"
    if not points or not sources.reachable([name]):
        return
    plan = getattr(importlib.import_module(name), "plan", None)
    if plan is None:
        return
    problems = []
    with chdir(sweep.notebook.parent):
        for point in points:
            try:
                plan(point.settings)
            except ValueError as error:
                problems.append(f"{point.label}: {error}")
    if problems:
        raise SweepError(
            "\n  ".join([f"{notebooks.analysis(sweep.notebook.stem)} refuses:", *problems])
        )


def _notebook(name: Any, folder: Path, problems: list[str]) -> Path | None:
    path = folder / f"{name}.ipynb"
    if isinstance(name, str) and path.is_file():
        return path
    names = sorted(each.stem for each in folder.glob("[0-9]*.ipynb"))
    problems.append(f"notebook: {unknown(str(name), names)}")
    return None


def _parts(content: dict[str, Any], problems: list[str]) -> tuple[dict, dict, dict | None, int]:
    fixed, grid = content.get("fixed") or {}, content.get("grid") or {}
    draw, group = content.get("draw"), content.get("group", 1)
    for name, value in (("fixed", fixed), ("grid", grid), ("draw", draw or {})):
        if not isinstance(value, dict):
            problems.append(f"{name} holds {value!r}; allowed: name: value lines")
    if not isinstance(group, int) or isinstance(group, bool) or group < 1:
        problems.append(f"group = {group!r}: allowed are whole numbers from 1")
    if not grid:
        problems.append("grid is empty; it needs at least one parameter with a list of values")
    for name, values in grid.items() if isinstance(grid, dict) else ():
        if not isinstance(values, list) or not values:
            problems.append(f"grid: {name} = {values!r}; allowed: a list of at least one value")
        elif any(value in values[:number] for number, value in enumerate(values)):
            problems.append(f"grid: {name} has a value twice")
        if isinstance(fixed, dict) and name in fixed:
            problems.append(f"{name} is both fixed and in the grid")
    return fixed, grid, draw, group


def _points(
    notebook: Path,
    code: str,
    fixed: dict[str, Any],
    grid: dict[str, Any],
    here: Path,
    problems: list[str],
) -> list[Point]:
    points = []
    for values in itertools.product(*grid.values()):
        own = dict(zip(grid, values, strict=True))
        chosen = _absolute(notebook, {**fixed, **own}, here, problems)
        settings = _settings(notebook, chosen, problems)
        if settings is None:
            continue
        parts = {"code": code, "settings": to_jsonable_python(settings)}
        try:
            parts |= _versions(getattr(settings, "model", None), getattr(settings, "questions", ""))
        except ValueError as error:
            if str(error) not in problems:
                problems.append(str(error))
        text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
        key = hashlib.sha256(text.encode()).hexdigest()
        points.append(Point(chosen, settings, key, f"{_slug(own)}-{key[:12]}"))
    return points


def _absolute(
    notebook: Path, values: dict[str, Any], here: Path, problems: list[str]
) -> dict[str, Any]:
    try:
        cls = settings_class(notebooks.analysis(notebook.stem))
        return with_absolute_paths(cls, values, here)
    except ParameterError as error:
        problems += [text for text in error.problems if text not in problems]
        return values


def _settings(notebook: Path, values: Mapping[str, Any], problems: list[str]) -> BaseModel | None:
    """The settings of one point; its problems are added unless another point had the same."""
    own, found = dict(values), []
    try:
        cls = settings_class(notebooks.analysis(notebook.stem))
        for name in values:  # `validate` passes over them, as a notebook may have private variables
            if not isinstance(name, str) or name.startswith("_"):
                found.append(unknown(str(name), list(cls.model_fields)))
                del own[name]
        settings: BaseModel = validate(cls, {**notebooks.defaults(notebook), **own})
    except ParameterError as error:
        found += error.problems
    except ValueError as error:
        found.append(str(error))
    problems += [text for text in found if text not in problems]
    return None if found else settings


def code_of(notebook: Path, root: Path = REPOSITORY) -> str:
    """Fingerprint of the code cells, parameters apart, and of what they use below `root`.

    Raises:
        SyntaxError: a cell is no Python.
    """
    return sources.of_text(notebooks.code(notebook), root)


def _code(notebook: Path, problems: list[str]) -> str:
    try:
        return code_of(notebook)
    except SyntaxError as error:
        problems.append(f"{notebook.name} has a code cell that is no Python: {error}")
        return ""


@functools.cache
def _versions(model: str | None, questions: str) -> dict[str, str]:
    from vzlib.evaluation.questions import version
    from vzlib.models.checkpoint import identity

    found = {"model": identity(model)} if model else {}
    return {**found, "questions": version(questions)} if questions else found


def _slug(values: Mapping[str, Any]) -> str:
    """A readable part of a file name: "budgets=64,merge=code"."""

    def text(value: Any) -> str:
        return re.sub(r"[^A-Za-z0-9.+-]+", "_", json.dumps(value, default=str)).strip("_")

    return ",".join(f"{name}={text(value)}" for name, value in values.items())[:80]


def jobs(points: list[Point], group: int) -> Iterator[list[Point]]:
    """The points in groups of at most `group`, in order."""
    for start in range(0, len(points), group):
        yield points[start : start + group]
