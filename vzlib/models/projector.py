"""The projector of a model as a file of its own, and put into the model again."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from vzlib.models.hub import LoadError, first_line


def check(file: Path, model: str, wanted: dict[str, tuple[int, ...]]) -> None:
    """Raise LoadError, naming shapes, for a file that holds no projector of these weights.

    Reads no weights. wanted: shapes by name.
    """
    try:
        with safe_open(file, "pt") as content:
            given = {name: tuple(content.get_slice(name).get_shape()) for name in content.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise LoadError(f"projector {file} cannot be read: {first_line(error)}") from error
    wrong = [
        f"{name} is {_said(given.get(name))} there, wanted is {_said(wanted.get(name))}"
        for name in dict.fromkeys([*wanted, *given])
        if given.get(name) != wanted.get(name)
    ]
    if wrong:
        raise LoadError(f"projector {file} does not fit {model}: {'; '.join(wrong)}")


def shapes(projector: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shape of every weight, by name."""
    return {name: tuple(value.shape) for name, value in projector.state_dict().items()}


def put(file: Path, projector: nn.Module) -> None:
    """Give a projector the weights of a file, in its own dtype and on its device."""
    projector.load_state_dict(load_file(file))


def kept(projector: nn.Module) -> bytes:
    """The content of such a file, in float16."""
    state: dict[str, Any] = projector.state_dict()
    return save({name: value.detach().cpu().to(torch.float16) for name, value in state.items()})


def _said(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else str(list(shape))
