"""The notebooks of this repository: which there are, what each is given, what runs it."""

import ast
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vzlib import plain_yaml
from vzlib.parameters import validate
from vzlib.paths import COMMAND, INSTALLED, NOTEBOOKS, PARAMETERS

SCALES = ("quick", "default", "full", "paper")


def find(names: Sequence[str] | None = None, folder: Path = NOTEBOOKS) -> list[Path]:
    """The notebooks called `names`, or all where none is given, in number order.

    A name is that of the file, its number ("02"), or a beginning that no other has.

    Raises:
        ValueError: a name fits no notebook, or several.
    """
    paths = sorted(folder.glob("[0-9]*.ipynb"))
    available = ", ".join(path.stem for path in paths) or "none"
    chosen = set()
    for given in names or ():
        name = Path(given).name.removesuffix(".ipynb").strip()
        if not name:
            raise ValueError(f"{given!r} names no notebook; available: {available}")
        fitting = [path for path in paths if path.stem.startswith(name)]
        exact = [path for path in fitting if name in (path.stem, path.stem.partition("_")[0])]
        if not fitting:
            raise ValueError(f"no notebook is called {name}; available: {available}")
        if len(fitting) > 1 and not exact:
            raise ValueError(
                f"{name} may be {', '.join(path.stem for path in fitting)}: write more"
            )
        chosen.update(exact or fitting)
    return [path for path in paths if path in chosen or not names]


def parameters(notebook: str, scale: str, folder: Path = PARAMETERS) -> dict[str, Any]:
    """The parameters of one notebook at one scale.

    Raises:
        ValueError: the file is missing or holds something else than `name: value` lines.
    """
    path = folder / notebook / f"{scale}.yaml"
    if not path.is_file():
        raise ValueError(f"{path} is missing")
    return plain_yaml.mapping(path)


def analysis(notebook: str) -> str:
    """The analysis that a notebook shows: "02_attention_by_layer" is "attention_by_layer"."""
    return notebook.partition("_")[2]


def defaults(notebook: Path) -> dict[str, Any]:
    """What the parameters cell of a notebook gives, read as text and never run.

    Raises:
        ValueError: the cell holds something else than names with plain values.
    """
    values: dict[str, Any] = {}
    try:
        for node in ast.parse(_code(notebook, of_parameters=True)).body:
            if not isinstance(node, ast.Assign):
                raise ValueError(ast.unparse(node))
            for target in node.targets:
                values[ast.unparse(target)] = ast.literal_eval(node.value)
    except (ValueError, SyntaxError) as error:
        raise ValueError(
            f"the parameters cell of {notebook.name} holds more than plain values: {error}"
        ) from None
    return values


def settings(notebook: str, scale: str = "default", **changes: Any) -> Any:
    """The settings of a notebook: its parameters cell, what `scale` changes, and `changes`.

    Raises:
        ValueError: `parameters` or `vzlib.parameters.validate` says what is wrong.
    """
    cell = defaults(NOTEBOOKS / f"{notebook}.ipynb")
    return validate(analysis(notebook), cell | parameters(notebook, scale) | changes)


def code(notebook: Path) -> str:
    """The code of a notebook, its parameters apart."""
    return _code(notebook, of_parameters=False)


def _code(notebook: Path, *, of_parameters: bool) -> str:
    return "\n".join(
        _source(cell)
        for cell in _cells(notebook)
        if cell["cell_type"] == "code"
        and ("parameters" in cell["metadata"].get("tags", ())) == of_parameters
    )


def _cells(notebook: Path) -> list[dict[str, Any]]:
    # As plain JSON: every notebook asks for these, and nbformat, with what checks a notebook, would
    # take longer to import than all else that draws.
    cells: list[dict[str, Any]] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return cells


def _source(cell: Mapping[str, Any]) -> str:
    return "".join(cell["source"])  # a text, or its lines


def title(notebook: str) -> str:
    """The heading of a notebook."""
    first, *_ = _cells(NOTEBOOKS / f"{notebook}.ipynb")
    return _source(first).splitlines()[0].removeprefix("# ")


def command(notebook: str, chosen: dict[str, Any]) -> str:
    """What measures and draws with these settings, which are as `model_dump(mode="json")` gives."""
    for scale in ("default", *SCALES):
        if _dumped(notebook, scale) == chosen:
            said = "" if scale == "default" else scale
            if INSTALLED:
                return f"{COMMAND} reproduce {notebook[:2]}" + (said and f" --scale {said}")
            return f"make reproduce {said and f'SCALE={said} '}NOTEBOOKS={notebook[:2]}"
    own = _dumped(notebook, "default")
    changes = [
        f"-p {name} {shlex.quote(_typed(value))}"
        for name, value in chosen.items()
        if value != own.get(name)
    ]
    return " ".join([f"{COMMAND} reproduce", notebook[:2], *changes])


def _typed(value: Any) -> str:
    """How a person types a value, see `vzlib.typed_values`."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _dumped(notebook: str, scale: str) -> dict[str, Any]:
    dumped: dict[str, Any] = settings(notebook, scale).model_dump(mode="json")
    return dumped
