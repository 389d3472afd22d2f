"""Parameters as people type them, `-p NAME VALUE`: the type of the setting says what is meant.

A setting that is a text takes what was typed, letter by letter. Another is read as JSON, or else as
the YAML of `vzlib.plain_yaml`: numbers are decimal, `true` and `false` the only truths, and `null`
means nothing where the setting allows that.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from vzlib import plain_yaml
from vzlib.parameters import ParameterError, settings_class, unknown
from vzlib.paths import absolute


@dataclass(frozen=True)
class NameOrPath:
    """Marks a setting whose text, or each of its texts, is one of `names()`, or else a path.

    elsewhere: it may also be a name that only others know, as those of the Hugging Face hub; then
    it is a path if it begins like one (`/`, `~`, `./`) or leads to something.
    """

    names: Callable[[], Collection[str]]
    elsewhere: bool = False


@dataclass(frozen=True)
class SettingsByNotebook:
    """Marks a setting that holds settings of other notebooks: {"06_token_budget": {...}}."""


def read(
    cls: type[BaseModel], typed: Sequence[tuple[str, str]], base: Path | None = None
) -> dict[str, Any]:
    """The values of settings that were typed as pairs of name and value.

    base: where relative paths count from; by default the working folder.

    Raises:
        ParameterError: naming each that is unknown, stands twice or cannot be read.
    """
    values: dict[str, Any] = {}
    problems = []
    for name, text in typed:
        if name not in cls.model_fields:
            problems.append(unknown(name, list(cls.model_fields)))
        elif name in values:
            problems.append(f"{name} stands twice: {values[name]!r} and {text!r}.")
        else:
            try:
                values[name] = _value(name, text, cls.model_fields[name].annotation)
            except ValueError as error:
                problems.append(f"{error}.")
    if problems:
        raise ParameterError(f"-p for {cls.__name__}:", problems)
    return with_absolute_paths(cls, values, base)


def with_absolute_paths(
    cls: type[BaseModel], values: Mapping[str, Any], base: Path | None = None
) -> dict[str, Any]:
    """The same values with absolute paths, where settings are marked as `NameOrPath`.

    base: where relative ones count from; by default the working folder.

    Raises:
        ParameterError: a path begins with a home that is not known.
    """
    found = dict(values)
    for name, value in values.items():
        for mark in cls.model_fields[name].metadata if name in cls.model_fields else ():
            if isinstance(mark, NameOrPath) and isinstance(value, str | list | tuple):
                try:
                    found[name] = _paths(value, mark, base or Path.cwd(), name)
                except ValueError as error:
                    raise ParameterError(f"{error}.") from None
            elif isinstance(mark, SettingsByNotebook) and isinstance(value, dict):
                found[name] = {key: _of_notebook(key, own, base) for key, own in value.items()}
    return found


def _of_notebook(notebook: str, values: Any, base: Path | None) -> Any:
    """Of a notebook that there is; whatever else is wrong is said where it is validated."""
    try:
        cls = settings_class(notebook.partition("_")[2])
    except ParameterError:
        return values
    return with_absolute_paths(cls, values, base) if isinstance(values, dict) else values


def _paths(value: Any, mark: NameOrPath, base: Path, name: str) -> Any:
    if isinstance(value, list | tuple):
        return [_paths(one, mark, base, name) for one in value]
    return _path(value, mark, base, name) if isinstance(value, str) else value


def _path(text: str, mark: NameOrPath, base: Path, name: str) -> str:
    begins = text.startswith(("/", "~", "./", "../")) or text in (".", "..")
    if not text or "\0" in text or (text in mark.names() and not begins):
        return text
    path = absolute(text, base, name)
    return str(path) if begins or not mark.elsewhere or path.exists() else text


def _value(name: str, text: str, annotation: Any) -> Any:
    kinds = set(_kinds(annotation))
    if str in kinds:
        return None if text == "null" and NoneType in kinds else text
    try:
        return json.loads(
            text, object_pairs_hook=once, parse_constant=_not_finite, parse_float=_finite
        )
    except ValueError:
        return plain_yaml.parse(text, f"{name} = {text!r}", comments=False)


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types that a setting allows; of texts that can be chosen from, `str`."""
    origin = get_origin(annotation)
    if origin is Literal:
        yield from (type(choice) for choice in get_args(annotation))
    elif origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from _kinds(part)
    elif hasattr(annotation, "__metadata__"):
        yield from _kinds(annotation.__origin__)
    else:
        yield annotation


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises ValueError for a name that stands twice in it."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} stands twice")
        found[name] = value
    return found


def _not_finite(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    return value if abs(value) < float("inf") else _not_finite(text)
