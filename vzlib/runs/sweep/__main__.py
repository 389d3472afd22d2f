"""Run a sweep: python -m vzlib.runs.sweep params/sweeps/token_budget.yaml."""

import argparse
import os
import sys
from pathlib import Path

# jsonschema would build a grammar of international addresses, 1.3 s in every job, to check a format
# that no notebook has. It does without when this cannot be imported.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def main(arguments: list[str] | None = None) -> int:
    """0 when every point is there, 1 when some failed, 2 when nothing could be run."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["run-job"]:  # what the Snakefile calls
        return _job(arguments[1:])
    parser = argparse.ArgumentParser(prog="python -m vzlib.runs.sweep", description=__doc__)
    parser.add_argument("sweep", type=Path, help="a sweep file, see vzlib/runs/sweep/sweep_file.py")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="run at a time")
    parser.add_argument("--slurm", type=Path, help="to a cluster; a file as workflow/slurm.yaml")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: allowed are whole numbers from 1")
    from vzlib.parameters import ParameterError
    from vzlib.results import durable
    from vzlib.runs.sweep import cluster, coordinator, sweep_file

    try:
        slurm = cluster.read(options.slurm) if options.slurm else None
        failures = coordinator.run(sweep_file.read(options.sweep), options.jobs, slurm)
    except (
        ParameterError,
        sweep_file.SweepError,
        coordinator.Refused,
        durable.NotWritable,
    ) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _job(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m vzlib.runs.sweep run-job")
    parser.add_argument("plan", type=Path)
    parser.add_argument("job")
    parser.add_argument("--attempt", type=int, default=1)
    options = parser.parse_args(arguments)
    from vzlib.runs.sweep import point

    return 1 if point.run_job(options.plan, options.job, options.attempt) else 0


if __name__ == "__main__":
    sys.exit(main())
