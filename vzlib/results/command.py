"""What `vzlib results` does: list, verify or prune the entries of the store; `export` is beside.

Each returns 1 when one of them is damaged, else 0.
"""

import sys
from pathlib import Path
from typing import Any

from vzlib import results
from vzlib.results import sources


def list_entries(verified: bool = False) -> int:
    """Print the entries, one in a line. verified: recompute every hash."""
    folders, damaged = results.entries(), 0
    for folder in folders:
        try:
            if verified:
                results.verify(folder)
            record = results.provenance_of(folder)
            names = [str(name) for name in record.get("about", {}).values() if name]
            state = " ".join([*names, "(uncommitted changes)"] if record["dirty"] else names)
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
