"""How a command is added, what follows -p, and how wrong input is told."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from itertools import islice
from typing import Any

import typer

from vzlib.runs.environment import variables

WITH_PAIRS = ("reproduce", "figures", "results")  # commands that have -p NAME VALUE
PAIR = "\0"  # between the name and the value of a parameter; no argument can hold it


def group(**options: Any) -> typer.Typer:
    """A group of commands."""
    plain: dict[str, Any] = {"rich_markup_mode": None, "pretty_exceptions_enable": False}
    return typer.Typer(**plain, **options, no_args_is_help=True)


def paired(arguments: Sequence[str]) -> Iterator[str]:
    """The arguments, name and value after each -p as one, since typer takes one after an option."""
    rest = iter(arguments)
    for argument in rest:
        yield argument
        if argument in ("-p", "--parameter") and arguments[0] in WITH_PAIRS:
            yield from filter(None, [PAIR.join(islice(rest, 2))])


def command(commands: typer.Typer, **options: Any) -> Callable[[Callable[..., int]], Any]:
    """Add a function as a command: it returns the exit status; wrong input is told in one line."""

    def add(function: Callable[..., int]) -> Any:
        @wraps(function)
        def told(*arguments: Any, **named: Any) -> None:
            try:
                with variables(_folders()):
                    status = function(*arguments, **named)
            except ValueError as error:
                print(error, file=sys.stderr)
                status = 2
            except RuntimeError as error:
                from vzlib.results.durable import NotWritable

                if not isinstance(error, NotWritable):
                    raise
                print(error, file=sys.stderr)
                status = 2
            except BrokenPipeError:
                raise
            except OSError as error:
                where = f"{error.filename}: " if error.filename else ""
                print(f"{where}{error.strerror or error}", file=sys.stderr)
                status = 1
            raise typer.Exit(status)

        return commands.command(**options)(told)

    return add


def _folders() -> dict[str, str]:
    """The folders that are set, so that processes started mean the same, wherever they work."""
    from vzlib.paths import FIGURES, HOME, RESULTS, from_environment

    folders = (("VZLIB_HOME", HOME), ("VZLIB_RESULTS", RESULTS), ("VZLIB_FIGURES", FIGURES))
    set_ = [(name, default) for name, default in folders if os.environ.get(name)]
    return {name: str(from_environment(name, default)) for name, default in set_}


def pairs(parameters: list[str] | None) -> list[tuple[str, str]]:
    """Names and values, as they were typed after every -p."""
    typed = [tuple(pair.split(PAIR)) for pair in parameters or ()]
    if any(len(pair) != 2 for pair in typed):
        raise ValueError("-p wants a name and a value")
    return [(name, value) for name, value in typed]
