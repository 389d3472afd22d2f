"""The commands of the store: list, verify, export, prune."""

from pathlib import Path
from typing import Annotated

import typer

from vzlib.commands.command import command, group, pairs

commands = group(help="List, check, export, tidy the store.")


@command(commands, name="list")
def list_results() -> int:
    """The entries, one in a line."""
    from vzlib.results import command

    return command.list_entries()


@command(commands)
def verify() -> int:
    """Recompute every hash."""
    from vzlib.results import command

    return command.list_entries(verified=True)


@command(commands)
def export(
    to: Annotated[Path | None, typer.Option(help="a CSV file, instead of standard output")] = None,
    analysis: Annotated[str | None, typer.Option(help="such as token_budget or 06")] = None,
    model: Annotated[str | None, typer.Option(help="its name, or entry.weights")] = None,
    questions: Annotated[str | None, typer.Option(help="their name, or entry.data")] = None,
    method: Annotated[str | None, typer.Option(help="such as visionzip")] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", metavar="NAME VALUE", help="a setting, or a column"),
    ] = None,
    predictions: Annotated[
        bool, typer.Option("--predictions", help="answers, question by question, instead of rows")
    ] = False,
) -> int:
    """Stored rows as one CSV table, each with what it was measured on."""
    from vzlib.results import export

    typed = pairs(parameter) + ([("method", method)] if method else [])
    return export.export(to, analysis, model, questions, typed, predictions)


@command(commands)
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say it, remove nothing")] = False,
) -> int:
    """Remove what the present code would not produce."""
    from vzlib.results import command

    return command.prune(dry_run)
