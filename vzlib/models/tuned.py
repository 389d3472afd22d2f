"""Projectors tuned for fewer visual tokens, found by name or path; torch is not imported."""

import re
from pathlib import Path

from vzlib.models.hub import LoadError
from vzlib.paths import COMMAND
from vzlib.results import artifacts

EXPERIMENT = "projector"  # whose artifacts they are
FILE = "projector.safetensors"
NAME = re.compile(r"[\w-][\w.-]*")


def apart(typed: str) -> tuple[str, str | None]:
    """The model and the projector of a name: "pico+projector-64" is pico with "projector-64".

    Behind the sign stands the name of an artifact, or the path of a .safetensors file.
    """
    if typed.endswith(".safetensors"):
        model, _, projector = typed.partition("+")
    else:
        model, _, projector = typed.rpartition("+")
        if not NAME.fullmatch(projector):
            return typed, None
    return (model, projector) if model and projector else (typed, None)


def find(projector: str, model: str, weights: str) -> Path:
    """The file of a projector.

    projector: a name, or the path of a file. model: whose it is, as it was typed; weights: what
        identifies it. Raises LoadError for one that is not there, naming those that are.
    """
    if projector.endswith(".safetensors"):
        path = Path(projector).expanduser().absolute()
        if not path.is_file():
            raise LoadError(f"model {model}+{projector}: no file {path}")
        return path
    if folder := artifacts.find(EXPERIMENT, projector, weights):
        return folder / FILE
    known = artifacts.names(EXPERIMENT, weights)
    raise LoadError(
        f"no projector {projector!r} was tuned for {model}; there are: "
        f"{', '.join(known) or 'none'}; notebook 09 tunes them: "
        f"{COMMAND} reproduce 09 -p model {model}"
    )
