"""python -m vzlib.efficiency.bench: the benchmark of `make bench`.

Measures every row of `vzlib.efficiency.bench.run.GROUPS` on one device, prints a table and where
the time goes, and keeps the run as figures/bench_<device>.json. With --only nothing is kept, for a
record holds ratios of one run.
"""

import argparse
import sys
from dataclasses import replace


def main(arguments: list[str] | None = None) -> int:
    """Exit status 2, with one line on what is wrong, for arguments that are not allowed."""
    parser = argparse.ArgumentParser(
        prog="python -m vzlib.efficiency.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", metavar="ROW", help="measure these rows alone")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--repetitions", type=int, help="rounds of each comparison")
    parser.add_argument("--seconds", type=float, help="after which a comparison begins no round")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    chosen = parser.parse_args(arguments)

    from vzlib.efficiency.bench.row import table
    from vzlib.efficiency.bench.run import GROUPS, as_json, keep, run
    from vzlib.efficiency.bench.scale import scale_of
    from vzlib.efficiency.bench.where import profile
    from vzlib.efficiency.device import choose, precision
    from vzlib.plotting.save import folder

    try:
        device = choose(chosen.device)
        dtype = precision(chosen.dtype, device)
        given = {"repetitions": chosen.repetitions, "seconds": chosen.seconds}
        changes = {name: value for name, value in given.items() if value is not None}
        scale = replace(scale_of(device), **changes)
        record = run(chosen.only or list(GROUPS), scale, device, dtype)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if chosen.json:
        print(as_json(record), end="")
    else:
        print(f"{record['device']}, {record['threads']} threads, {record['dtype']}\n")
        print(table(record["rows"]))
    if not chosen.only:
        if not chosen.json:
            print(f"\nWhere the time goes\n{profile(scale, device, dtype)}")
        print(f"kept as {keep(record, folder())}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
