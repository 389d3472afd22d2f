"""What `vzlib results` does: list, verify, export or prune the entries of the store.

Each returns 1 when one of them is damaged, else 0.
"""

import sys
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic_core import to_json

from vzlib.results import durable, sources

from vzlib import results

PROVENANCE = ("experiment", "key", "model", "data", "commit", "dirty", "seconds", "finished_utc")


def list_entries(verified: bool = False) -> int:
    """Print the entries, one in a line. verified: recompute every hash."""
    folders, damaged = results.entries(), 0
    for folder in folders:
        try:
            if verified:
                results.verify(folder)
            record = results.provenance_of(folder)
            state = "with uncommitted changes" if record["dirty"] else ""
            print(
                f"{_name(folder)} {record['rows']:6} rows "
                f"{record['seconds']:8.1f} s  {record['finished_utc']}  "
                f"{(record['commit'] or 'no commit')[:10]} {state}".rstrip()
            )
        except results.DamagedEntry as error:
            damaged += 1
            print(f"{_name(folder)} damaged: {error}")
    print(f"{len(folders)} entries in {results.location()}, {damaged} damaged")
    return 1 if damaged else 0


def export(path: Path | None) -> int:
    """Write every row of every entry as one CSV table, to standard output or a file."""
    folders, tables, damaged = results.entries(), [], 0
    for folder in folders:
        try:
            tables.append(_flat(folder))
        except results.DamagedEntry as error:
            damaged += 1
            print(f"left out: {error}", file=sys.stderr)
    text = pd.concat(tables, ignore_index=True).to_csv(index=False) if tables else ""
    if path is None:
        print(text, end="")
    else:
        durable.write_whole(path, text)
        rows = sum(len(table) for table in tables)
        print(f"{rows} rows of {len(tables)} entries in {path}")
    return 1 if damaged else 0


def _flat(folder: Path) -> pd.DataFrame:
    """The rows of an entry, before them its provenance and settings as `entry.` and `settings.`."""
    table = results.read(folder)
    record = {**results.provenance_of(folder), "key": folder.name}
    settings = record["settings"] if isinstance(record["settings"], dict) else {}
    before = {f"entry.{name}": record[name] for name in PROVENANCE}
    before |= {f"settings.{name}": _cell(value) for name, value in settings.items()}
    constant = pd.DataFrame({name: [value] * len(table) for name, value in before.items()})
    return pd.concat([constant, table], axis="columns")


def _cell(value: Any) -> Any:
    return to_json(value).decode() if isinstance(value, list | dict) else value


def prune(dry: bool = False) -> int:
    """Remove what the present code would not produce. dry: only say what would be removed."""
    folders, removed, damaged = results.entries(), 0, 0
    for folder in folders:
        try:
            record = results.provenance_of(folder)
        except results.DamagedEntry as error:
            damaged += 1
            print(f"kept, damaged: {error}", file=sys.stderr)
            continue
        if _obsolete(record) and (dry or results.remove(folder)):
            removed += 1
            print(f"{_name(folder)} of {record['finished_utc']}")
    verb = "would be removed" if dry else "removed"
    print(f"{removed} of {len(folders)} entries {verb}: no present code produces them")
    return 1 if damaged else 0


def _obsolete(record: dict[str, Any]) -> bool:
    """Whether the code that made an entry has changed; not if it was defined outside vzlib."""
    module = record.get("function", "").partition(":")[0]
    uses = frozenset(record.get("uses", ()))
    return sources.inside(module) and record["source"] != sources.of_module(module, uses=uses)


def _name(folder: Path) -> str:
    return f"{folder.parent.name:24} {folder.name[:12]}"
