"""The benchmark of `vzlib bench`: every row on one device, a table, and where the time goes."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vzlib.efficiency.bench.row import table
from vzlib.efficiency.bench.run import GROUPS, as_json, keep, run
from vzlib.efficiency.bench.scale import scale_of
from vzlib.efficiency.bench.where import profile
from vzlib.efficiency.device import choose, precision


def bench(
    rows: Sequence[str] | None,
    device_name: str,
    dtype_name: str,
    repetitions: int | None,
    seconds: float | None,
    json: bool,
    folder: Path,
) -> None:
    """Measure `rows` of `vzlib.efficiency.bench.run.GROUPS`, or all, and print them.

    A run of all is kept as `bench_<device>.json` in `folder`; one of some rows is not, for a record
    holds ratios of one run.

    Raises:
        ValueError: an unknown row, or a device or dtype that there is not.
    """
    device = choose(device_name)
    dtype = precision(dtype_name, device)
    given = {"repetitions": repetitions, "seconds": seconds}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    scale = replace(scale_of(device), **changes)
    record = run(rows or list(GROUPS), scale, device, dtype)
    if json:
        print(as_json(record), end="")
    else:
        print(f"{record['device']}, {record['threads']} threads, {record['dtype']}\n")
        print(table(record["rows"]))
    if not rows:
        if not json:
            print(f"\nWhere the time goes\n{profile(scale, device, dtype)}")
        print(f"kept as {keep(record, folder)}", file=sys.stderr)
