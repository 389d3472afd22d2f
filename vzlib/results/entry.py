"""An entry of the store: a folder of rows, predictions and their provenance, hashed throughout."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from vzlib.results import durable

ROWS, PREDICTIONS, PROVENANCE = "rows.parquet", "predictions.parquet", "provenance.json"
INGREDIENTS = ("experiment", "settings", "model", "data", "source")


class DamagedEntry(ValueError):
    """An entry cannot be read or differs from the hashes in its provenance."""


def read(folder: Path) -> pd.DataFrame:
    """The rows of an entry. Raises DamagedEntry as `verify` does."""
    verify(folder)
    table = pd.read_parquet(folder / ROWS)
    table.attrs = {"experiment": folder.parent.name, "key": folder.name, "folder": str(folder)}
    return table


def predictions(table: pd.DataFrame) -> pd.DataFrame:
    """The per-question predictions beside the rows `table` that `compute` returned.

    Raises:
        LookupError: the experiment stored no predictions.
    """
    path = folder_of(table) / PREDICTIONS
    if not path.is_file():
        raise LookupError(f"experiment {table.attrs['experiment']} stored no predictions")
    return pd.read_parquet(path)


def file(table: pd.DataFrame, name: str) -> Path:
    """A further file of the entry from which the rows `table` were read.

    Raises:
        LookupError: the experiment stored none of that name.
    """
    path = folder_of(table) / name
    if not path.is_file():
        raise LookupError(f"experiment {table.attrs['experiment']} stored no {name}")
    return path


def describe(table: pd.DataFrame) -> dict[str, Any]:
    """The provenance of the rows `table` that `compute` returned."""
    return provenance_of(folder_of(table))


def folder_of(table: pd.DataFrame) -> Path:
    """The entry that the rows `table` were read from."""
    return Path(table.attrs["folder"])


def verify(folder: Path) -> None:
    """Recompute every hash of an entry, its key included.

    Raises:
        DamagedEntry: saying which file is missing, unreadable or altered.
    """
    record = provenance_of(folder)
    if key_of({name: record[name] for name in INGREDIENTS}) != folder.name:
        raise DamagedEntry(f"{folder / PROVENANCE} does not belong to the key {folder.name[:12]}")
    for name, expected in record["files"].items():
        try:
            actual = _hash((folder / name).read_bytes())
        except OSError as error:
            raise DamagedEntry(f"{folder / name} cannot be read: {error.strerror}") from None
        if actual != expected:
            raise DamagedEntry(f"{folder / name} differs from the hash in its provenance")


def provenance_of(folder: Path) -> dict[str, Any]:
    """The record of an entry, which carries its own hash.

    Raises:
        DamagedEntry: it cannot be read or was altered.
    """
    path = folder / PROVENANCE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedEntry(f"{path} cannot be read: {error}") from None
    digest = record.pop("digest", None) if isinstance(record, dict) else None
    if digest != _hash(canonical(record).encode()):
        raise DamagedEntry(f"{path} differs from the hash it carries")
    return record


def key_of(ingredients: Mapping[str, Any]) -> str:
    return _hash(canonical(ingredients).encode())


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def remove(folder: Path) -> bool:
    """Remove an entry, unless another process is at work on its key."""
    root = folder.parents[1]
    with durable.try_lock(root / ".locks" / folder.name) as lock:
        if lock:
            durable.remove(folder, root / ".aside" / folder.name)
        return lock is not None


def publish(
    folder: Path, tables: dict[str, pd.DataFrame | bytes], record: dict[str, Any], aside: Path
) -> None:
    """Write an entry into `aside`, then publish it by one rename. Needs the lock of the key.

    tables: and the bytes of other files, by file name.
    """
    shutil.rmtree(aside, ignore_errors=True)  # left by a process that was killed
    try:
        aside.mkdir(parents=True)
        for name, table in tables.items():
            if isinstance(table, bytes):
                (aside / name).write_bytes(table)
            else:
                table.to_parquet(aside / name, index=False)
        record["files"] = {name: _hash((aside / name).read_bytes()) for name in tables}
        record["digest"] = _hash(canonical(record).encode())
        (aside / PROVENANCE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        if folder.exists():  # damaged: kept for whoever wants to know, until the next damage
            damaged = folder.parents[1] / ".damaged" / folder.name
            shutil.rmtree(damaged, ignore_errors=True)
            damaged.parent.mkdir(exist_ok=True)
            folder.rename(damaged)
        durable.publish(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)  # a part, on a full disk
