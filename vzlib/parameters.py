"""Strict notebook parameters: whatever is wrong is said in the second cell, before torch loads."""

import difflib
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from vzlib.executed_cells import assigned

EXPERIMENTS = Path(__file__).with_name("experiments")
# What papermill can inject; anything else in a notebook is the work of its own cells.
PLAIN = (bool, int, float, str, list, tuple, set, dict, type(None))
INTERACTIVE = frozenset({"In", "Out"})  # plain values that IPython itself defines


class ParameterError(ValueError):
    """Notebook parameters are unknown or not allowed: `problems` has a line for each."""

    def __init__(self, text: str, problems: Sequence[str] = ()) -> None:
        super().__init__("\n  ".join([text, *problems]))
        self.problems = list(problems) or [text]


def validate(name: str | type[BaseModel], namespace: Mapping[str, Any]) -> Any:
    """The settings of a notebook from the variables that its parameters cell defined.

    Args:
        name: the analysis, such as "attention_by_layer"; its settings are the class that
            `vzlib.experiments.attention_by_layer.settings` defines. Or a settings class itself.
        namespace: `globals()` of the notebook, of which only what its parameters cell set counts
            (see `vzlib.executed_cells`); or any mapping. A name counts as a parameter when its
            value is plain (number, text, list, ...) and it does not begin with an underscore.

    Returns:
        The frozen settings.

    Raises:
        ParameterError: naming every unknown parameter, with the nearest one that exists, and every
            value that is not allowed.
    """
    cls = settings_class(name) if isinstance(name, str) else name
    allowed = list(cls.model_fields)
    names = assigned(namespace, allowed)
    problems = [
        unknown(key, allowed)
        for key, value in namespace.items()
        if key in names and key not in allowed and _is_parameter(key, value)
    ]
    given = {key: namespace[key] for key in allowed if key in names}
    torn = [key for key, value in given.items() if _is_torn(value)]
    problems += [f"{key} = {given.pop(key)!r}: half a letter is no text." for key in torn]
    settings = None
    try:
        # As JSON, a list may stand for a tuple, and still "8" or True is no whole number.
        content = to_json(given, inf_nan_mode="constants", fallback=_foreign)
        settings = cls.model_validate_json(content, strict=True)
    except ValidationError as error:
        problems += [_not_allowed(detail) for detail in error.errors(include_url=False)]
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        heading = f"{count} with the parameters for {cls.__name__}:"
        raise ParameterError(heading, problems)
    return settings


def settings_class(name: str) -> type[BaseModel]:
    """The settings of an analysis: "attention_by_layer" -> `AttentionByLayer`.

    Raises:
        ParameterError: there is no such analysis.
    """
    analyses = sorted(path.parent.name for path in EXPERIMENTS.glob("*/settings.py"))
    if name not in analyses:
        raise ParameterError(unknown(name, analyses))
    module = importlib.import_module(f"vzlib.experiments.{name}.settings")
    (own,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, BaseModel)
        and value.__module__ == module.__name__
    )
    return own


def _is_parameter(key: str, value: Any) -> bool:
    return isinstance(value, PLAIN) and not key.startswith("_") and key not in INTERACTIVE


def _is_torn(value: Any) -> bool:
    """Whether a text in `value` holds half a letter (a surrogate), which no file can hold."""
    if isinstance(value, str):
        return any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, dict):
        return any(_is_torn(part) for part in (*value.keys(), *value.values()))
    return isinstance(value, list | tuple | set) and any(map(_is_torn, value))


def _foreign(value: Any) -> dict[str, str]:
    """Stands for an object that no parameter can be, so that validation refuses and shows it."""
    return {type(value).__name__: repr(value)}


def unknown(key: str, allowed: Sequence[str]) -> str:
    """Says that there is no `key`, which is the nearest, and what is allowed."""
    return f"{key}: unknown; {nearest(key, allowed)}Allowed: {', '.join(allowed)}."


def nearest(key: str, allowed: Sequence[str]) -> str:
    """Asks for the name that is nearest to `key`, "did you mean model? "; empty if none is near."""
    found = difflib.get_close_matches(key, allowed, n=1, cutoff=0.5)
    return f"did you mean {found[0]}? " if found else ""


def _not_allowed(detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"]) or "together"
    value = "" if detail["type"] == "missing" else f" = {detail['input']!r}"
    quoted = "; quote it" if detail["type"] == "string_type" and _is_word(detail["input"]) else ""
    return f"{where}{value}: {detail['msg']}{quoted}."


def _is_word(value: Any) -> bool:
    """Whether YAML without quotes gives this value, where a text was meant."""
    return isinstance(value, bool | int | float | None)
