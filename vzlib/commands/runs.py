"""The commands that measure and draw: notebooks, sweeps, the bench, and their report."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from vzlib.commands.command import command, group, pairs
from vzlib.runs.environment import variables

commands = group()
Notebooks = Annotated[
    list[str] | None, typer.Argument(help="such as 02 or 02_attention_by_layer (default: all)")
]
Scale = Annotated[
    Literal["quick", "default", "full", "paper"], typer.Option(help="of params/<notebook>/")
]
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


@command(commands)
def reproduce(
    notebooks: Notebooks = None,
    scale: Scale = "default",
    jobs: Jobs = 1,
    parameter: Parameters = None,
    publish: Publish = False,
) -> int:
    """Measure again, notebook by notebook, and compare; what the store holds is not repeated."""
    from vzlib.runs import reproduce

    return reproduce.reproduce(notebooks, scale, pairs(parameter), jobs, publish)


@command(commands)
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
        return reproduce.reproduce(notebooks, scale, pairs(parameter), jobs, publish)


@command(commands)
def compare() -> int:
    """Say which numbers and verdicts of the store's figures differ from those that ship."""
    from vzlib.paths import FIGURES
    from vzlib.plotting.save import folder
    from vzlib.runs import compare

    print(compare.told(folder(), FIGURES) or f"nothing in {folder()} to compare with {FIGURES}")
    return 0


@command(commands)
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


@command(commands, hidden=True)
def run_job(plan: Path, job: str, attempt: int = 1) -> int:
    """One job of a sweep; the Snakefile calls it."""
    from vzlib.runs.sweep import point

    return 1 if point.run_job(plan, job, attempt) else 0


@command(commands)
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


@command(commands)
def report(
    to: Annotated[Path | None, typer.Option(help="instead of report.html in the store")] = None,
) -> int:
    """Write figures, tables, settings and environment as one offline page."""
    from vzlib.runs import report

    return report.write(to)
