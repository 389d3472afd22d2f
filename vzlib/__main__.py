"""vzlib: reproduce the paper, measure, redraw, ask. `vzlib COMMAND --help` says what each takes.

Ends with 0 when all is well, 1 when something failed, 2 for a wrong command and 130 when stopped.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from vzlib.runs.environment import variables

# jsonschema would build a grammar of international addresses, 1.3 s in every job, to check a format
# that no notebook has. It does without when this cannot be imported.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

OPTIONS: dict[str, Any] = {"rich_markup_mode": None, "pretty_exceptions_enable": False}
app = typer.Typer(**OPTIONS, add_completion=False, no_args_is_help=True, help=__doc__)
results = typer.Typer(**OPTIONS, no_args_is_help=True, help="List, check, export, tidy the store.")
app.add_typer(results, name="results")

WITH_PAIRS = ("reproduce", "figures", "results")  # commands that have -p NAME VALUE
PAIR = "\0"  # between the name and the value of a parameter; no argument can hold it
Notebooks = Annotated[
    list[str] | None, typer.Argument(help="such as 02 or 02_attention_by_layer (default: all)")
]
Scale = Annotated[Literal["quick", "default", "paper"], typer.Option(help="of params/<notebook>/")]
Jobs = Annotated[int, typer.Option(min=1, help="notebooks at a time")]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--parameter",
        metavar="NAME VALUE",
        help="set a parameter of every notebook that runs; a text is taken letter by letter",
    ),
]
Publish = Annotated[bool, typer.Option("--publish", help="write figures/, which is committed")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(args=list(_paired(given)), prog_name="vzlib")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def _paired(arguments: Sequence[str]) -> Iterator[str]:
    """The arguments, name and value after each -p as one, since typer takes one after an option."""
    rest = iter(arguments)
    for argument in rest:
        yield argument
        if argument in ("-p", "--parameter") and arguments[0] in WITH_PAIRS:
            yield from filter(None, [PAIR.join(islice(rest, 2))])


def command(group: typer.Typer, **options: Any) -> Callable[[Callable[..., int]], Any]:
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

        return group.command(**options)(told)

    return add


def _folders() -> dict[str, str]:
    """The folders that are set, so that processes started mean the same, wherever they work."""
    from vzlib.paths import FIGURES, HOME, RESULTS, from_environment

    folders = (("VZLIB_HOME", HOME), ("VZLIB_RESULTS", RESULTS), ("VZLIB_FIGURES", FIGURES))
    set_ = [(name, default) for name, default in folders if os.environ.get(name)]
    return {name: str(from_environment(name, default)) for name, default in set_}


@command(app)
def reproduce(
    notebooks: Notebooks = None,
    scale: Scale = "default",
    jobs: Jobs = 1,
    parameter: Parameters = None,
    publish: Publish = False,
) -> int:
    """Measure again, notebook by notebook, and compare; what the store holds is not repeated."""
    from vzlib.runs import reproduce

    return reproduce.reproduce(notebooks, scale, _pairs(parameter), jobs, publish)


@command(app)
def figures(
    notebooks: Notebooks = None,
    scale: Scale = "default",
    jobs: Jobs = 1,
    parameter: Parameters = None,
    publish: Publish = False,
) -> int:
    """Redraw figures and tables from stored results, or those that ship, measuring nothing."""
    from vzlib.runs import reproduce

    with variables({"VZLIB_STORE_ONLY": "1"}):
        return reproduce.reproduce(notebooks, scale, _pairs(parameter), jobs, publish)


@command(app)
def compare() -> int:
    """Say which numbers and verdicts of the store's figures differ from those that ship."""
    from vzlib.paths import FIGURES
    from vzlib.plotting.save import folder
    from vzlib.runs import compare

    print(compare.told(folder(), FIGURES) or f"nothing in {folder()} to compare with {FIGURES}")
    return 0


def _pairs(parameters: list[str] | None) -> list[tuple[str, str]]:
    pairs = [tuple(pair.split(PAIR)) for pair in parameters or ()]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError("-p wants a name and a value")
    return [(name, value) for name, value in pairs]


@command(app)
def sweep(
    file: Annotated[Path, typer.Argument(help="as vzlib/runs/sweep/sweep_file.py says")],
    jobs: Annotated[int, typer.Option(min=1, help="run at a time")] = os.cpu_count() or 1,
    slurm: Annotated[
        Path | None, typer.Option(help="send them to a cluster; as workflow/slurm.yaml")
    ] = None,
) -> int:
    """Run a notebook over a grid of parameters; the same command goes on after a stop."""
    from vzlib.runs.sweep import cluster, coordinator, sweep_file

    try:
        resources = cluster.read(slurm) if slurm else None
        failures = coordinator.run(sweep_file.read(file), jobs, resources)
    except coordinator.Refused as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


@command(app, hidden=True)
def run_job(plan: Path, job: str, attempt: int = 1) -> int:
    """One job of a sweep; the Snakefile calls it."""
    from vzlib.runs.sweep import point

    return 1 if point.run_job(plan, job, attempt) else 0


@command(app)
def bench(
    rows: Annotated[list[str] | None, typer.Argument(help="these alone, kept nowhere")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    dtype: Literal["auto", "float32", "bfloat16"] = "auto",
    repetitions: Annotated[int | None, typer.Option(help="rounds of each comparison")] = None,
    seconds: Annotated[
        float | None, typer.Option(help="after which a comparison begins no round")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON instead of tables")] = False,
    publish: Publish = False,
) -> int:
    """Measure the ratios of time and memory by which this library is judged, on this machine."""
    from vzlib.efficiency.bench.command import bench
    from vzlib.paths import FIGURES
    from vzlib.plotting.save import folder

    bench(rows, device, dtype, repetitions, seconds, json, FIGURES if publish else folder())
    return 0


@command(app)
def report(
    to: Annotated[Path | None, typer.Option(help="instead of report.html in the store")] = None,
) -> int:
    """Write figures, tables, settings and environment as one offline page."""
    from vzlib.runs import report

    return report.write(to)


@command(app)
def ask(
    model: Annotated[str, typer.Argument(help="pico, a folder, or a hub name")],
    question: Annotated[str | None, typer.Argument(help="about the image")] = None,
    image: Annotated[str | None, typer.Option(help="an image file")] = None,
    retain: Annotated[int | None, typer.Option(help="visual tokens to keep (default: all)")] = None,
    method: Annotated[str | None, typer.Option(help="that keeps them, such as divprune")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16")] = "auto",
) -> int:
    """Say what a model is, and what it answers to a question about an image."""
    from vzlib.models.command import ask

    ask(
        model,
        image=image,
        question=question,
        retain=retain,
        method=method,
        device=device,
        dtype=dtype,
    )
    return 0


@command(app)
def where(
    what: Annotated[str | None, typer.Argument(help="one folder alone, such as tasks")] = None,
) -> int:
    """Name the folders that are read and written, and the models that are here."""
    from vzlib import paths, results
    from vzlib.models.checkpoint import embedded

    folders = {
        "vzlib": paths.PACKAGE,
        "notebooks": paths.NOTEBOOKS,
        "params": paths.PARAMETERS,
        "measured": paths.MEASURED,
        "tasks": paths.PACKAGE / "lmms_eval" / "tasks",
        "results": results.location(),
    }
    if what is not None:
        if what not in folders:
            raise ValueError(f"{what!r} is no folder; allowed: {', '.join(folders)}")
        print(folders[what])
        return 0
    for name, folder in folders.items():
        print(f"{name:<12}{folder}")
    for place in paths.checkpoint_folders():
        print(f"{'models':<12}{place}")
    print(f"{'by name':<12}{', '.join(embedded()) or 'none'}")
    return 0


@command(app)
def view(
    models: Annotated[
        list[str] | None, typer.Argument(help="folders or hub names beside the embedded ones")
    ] = None,
    host: Annotated[str, typer.Option(help="to listen at; other machines reach 0.0.0.0")] = "",
    port: Annotated[int | None, typer.Option(help="default: a free one from 7860")] = None,
) -> int:
    """See and ask in a browser: attention, the tokens that stay, answers, times."""
    from vzlib.viewer import serve

    serve.view(models or (), host or serve.LOOPBACK, port)
    return 0


@command(app)
def scenes(
    count: Annotated[int, typer.Option(min=1, help="scenes to make")] = 4000,
    split: Literal["train", "test"] = "test",
) -> int:
    """Say how fast scenes are made and how balanced their answers are."""
    from vzlib.scenes.balance import balance

    print(balance(count, split))
    return 0


@command(results, name="list")
def list_results() -> int:
    """The entries, one in a line."""
    from vzlib.results import command

    return command.list_entries()


@command(results)
def verify() -> int:
    """Recompute every hash."""
    from vzlib.results import command

    return command.list_entries(verified=True)


@command(results)
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

    typed = _pairs(parameter) + ([("method", method)] if method else [])
    return export.export(to, analysis, model, questions, typed, predictions)


@command(results)
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say it, remove nothing")] = False,
) -> int:
    """Remove what the present code would not produce."""
    from vzlib.results import command

    return command.prune(dry_run)


if __name__ == "__main__":
    sys.exit(main())
