"""The store of results: what was measured once is not measured again.

An entry is a folder `<store>/<experiment>/<key>/` with `rows.parquet` (tidy), `provenance.json`
and, where the experiment returns them, `predictions.parquet` (one row per question). The key hashes
all that the rows depend on: experiment, settings, model, data and code. An entry is written aside
and published by one rename, so a reader sees all of it or nothing; a lock per key lets one process
compute while the others wait.

`vzlib results` lists, verifies, exports and prunes; see `vzlib.results.command`.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from vzlib.results import durable, provenance, sources
from vzlib.paths import RESULTS, from_environment

ROWS, PREDICTIONS, PROVENANCE = "rows.parquet", "predictions.parquet", "provenance.json"
INGREDIENTS = ("experiment", "settings", "model", "data", "source")
logger = logging.getLogger(__name__)
_reading_only: ContextVar[bool] = ContextVar("reading_only", default=False)


class MissingResult(LookupError):
    """The store has no sound entry for a point, and computing is switched off."""


class DamagedEntry(ValueError):
    """An entry cannot be read or differs from the hashes in its provenance."""


def location() -> Path:
    """The folder of the store: $VZLIB_RESULTS, or results/ of the repository."""
    return from_environment("VZLIB_RESULTS", RESULTS)


@contextmanager
def store_only() -> Iterator[None]:
    """Inside, nothing is computed, as with VZLIB_STORE_ONLY=1: what is not stored is missing."""
    before = _reading_only.set(True)
    try:
        yield
    finally:
        _reading_only.reset(before)


def compute(
    experiment: str,
    settings: BaseModel | Mapping[str, Any],
    function: Callable[..., Any],
    *,
    uses: Collection[str] = (),
    model_fingerprint: str | None = None,
    data_version: str | None = None,
    about: Mapping[str, Any] | None = None,
    store: Path | str | None = None,
) -> pd.DataFrame:
    """The rows of an experiment: from the store, or from `function(settings)`, which are then kept.

    Args:
        experiment: name of the experiment, a folder name such as "attention_by_layer".
        settings: everything that was chosen; all of it enters the key.
        function: called with `settings`; returns tidy rows, or a pair (rows, predictions). What it
            reads besides the settings must be covered by the two arguments below.
        uses: modules that `function` uses besides those it imports, such as those of methods.
        model_fingerprint: identifies the weights and configuration of the model.
        data_version: identifies the data.
        about: names what the two arguments above identify, such as {"model": "pico"}, for readers
            of the record; in no key, so that an entry keeps the names it was measured under.
        store: folder of the store; `location()` by default.

    Returns:
        The rows as the store holds them, so that the first run and all later ones agree. `.attrs`
        names the entry; `predictions` and `describe` take such a table.

    Raises:
        MissingResult: there is no sound entry and $VZLIB_STORE_ONLY is 1, or within `store_only`.
        durable.NotWritable: the store is full or read-only; told before computing, if it is so.
        ValueError: the name is no folder name, or the settings hold what JSON cannot.
        TypeError: the function returned something else than rows.
    """
    (table,) = compute_each(
        experiment,
        [settings],
        partial(_alone, function),
        code=function,
        uses=lambda point: uses,
        model_fingerprint=model_fingerprint,
        data_version=data_version,
        about=about,
        store=store,
    )
    return table


def compute_each(
    experiment: str,
    points: Sequence[BaseModel | Mapping[str, Any]],
    function: Callable[..., Any],
    *,
    code: Callable[..., Any] | None = None,
    uses: Callable[[Any], Collection[str]] = lambda point: (),
    model_fingerprint: str | None = None,
    data_version: str | None = None,
    about: Mapping[str, Any] | None = None,
    store: Path | str | None = None,
) -> list[pd.DataFrame]:
    """The rows of many points, in order: as `compute`, but what is missing is computed together.

    function: called once with those of `points` that the store lacks, if any; returns for each of
        them, in order, what the function of `compute` returns.
    code: the function whose code enters the keys; by default `function`.
    uses: names the modules that a point uses besides what `code` imports, such as that of the
        method it measures: an edit of them changes its key, and not those of other points.

    Raises what `compute` does, and ValueError if the function returns another number of points.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", experiment):
        raise ValueError(f"experiment {experiment!r}: use letters, digits, '_' and '-' only")
    code = code or function
    root = Path(store) if store else location()
    wanted: dict[str, tuple[Any, dict[str, Any]]] = {}
    keys = []
    for point in points:
        source = sources.fingerprint(code, uses=uses(point))
        values = (experiment, to_jsonable_python(point), model_fingerprint, data_version, source)
        ingredients = dict(zip(INGREDIENTS, values, strict=True))
        keys.append(_key(ingredients))
        wanted[keys[-1]] = (point, ingredients)
    found = {key: _find(root / experiment / key) for key in wanted}
    missing = sorted(key for key, table in found.items() if table is None)
    if missing and (_reading_only.get() or os.environ.get("VZLIB_STORE_ONLY") == "1"):
        raise MissingResult(
            f"no stored result for {experiment}, settings "
            f"{_canonical(wanted[missing[0]][1]['settings'])}, model {model_fingerprint}, "
            f"data {data_version} (key {missing[0][:12]}"
            f"{f', and {len(missing) - 1} more' if len(missing) > 1 else ''}) in {root}; "
            "unset VZLIB_STORE_ONLY to compute it"
        )
    with ExitStack() as locks:
        with durable.writing(root):
            if missing:
                durable.check_writable(root / ".aside")
            for key in missing:  # in one order for all processes, so that none waits in a circle
                lock = durable.locked(root / ".locks" / key, f"{experiment} {key[:12]}")
                locks.enter_context(lock)
        for key in missing:  # another process may have computed it while this one waited
            found[key] = _find(root / experiment / key)
        missing = [key for key in wanted if found[key] is None]
        if missing:
            finish = provenance.record()
            outcomes = function([wanted[key][0] for key in missing])
            for key, outcome in zip(missing, outcomes, strict=True):
                tables = _tables(outcome, experiment)
                record = {**wanted[key][1], "function": sources.name(code), **finish()}
                record |= {"about": dict(about or {})}
                record |= {"uses": sorted(uses(wanted[key][0])), "rows": len(tables[ROWS])}
                record["seconds"] = round(record["seconds"] / len(missing), 3)  # its share
                with durable.writing(root):
                    _publish(root / experiment / key, tables, record, root / ".aside" / key)
                found[key] = read(root / experiment / key)
    return [table for key in keys if (table := found[key]) is not None]


def _alone(function: Callable[..., Any], points: Sequence[Any]) -> list[Any]:
    return [function(*points)]


def predictions(table: pd.DataFrame, store: Path | str | None = None) -> pd.DataFrame:
    """The per-question predictions beside the rows `table` that `compute` returned.

    Raises:
        LookupError: the experiment stored no predictions.
    """
    path = _folder(table, store) / PREDICTIONS
    if not path.is_file():
        raise LookupError(f"experiment {table.attrs['experiment']} stored no predictions")
    return pd.read_parquet(path)


def describe(table: pd.DataFrame, store: Path | str | None = None) -> dict[str, Any]:
    """The provenance of the rows `table` that `compute` returned."""
    return provenance_of(_folder(table, store))


def entries(store: Path | str | None = None) -> list[Path]:
    """The folders of all published entries, sound or not, sorted by experiment and key."""
    return sorted(
        path
        for path in (Path(store) if store else location()).glob("[!.]*/*/")
        if re.fullmatch(r"[0-9a-f]{64}", path.name)
    )


def remove(folder: Path) -> bool:
    """Remove an entry, unless another process is at work on its key."""
    root = folder.parents[1]
    with durable.try_lock(root / ".locks" / folder.name) as lock:
        if lock:
            durable.remove(folder, root / ".aside" / folder.name)
        return lock is not None


def verify(folder: Path) -> None:
    """Recompute every hash of an entry, its key included.

    Raises:
        DamagedEntry: saying which file is missing, unreadable or altered.
    """
    record = provenance_of(folder)
    if _key({name: record[name] for name in INGREDIENTS}) != folder.name:
        raise DamagedEntry(f"{folder / PROVENANCE} does not belong to the key {folder.name[:12]}")
    for name, expected in record["files"].items():
        try:
            actual = _hash((folder / name).read_bytes())
        except OSError as error:
            raise DamagedEntry(f"{folder / name} cannot be read: {error.strerror}") from None
        if actual != expected:
            raise DamagedEntry(f"{folder / name} differs from the hash in its provenance")


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _key(ingredients: Mapping[str, Any]) -> str:
    return _hash(_canonical(ingredients).encode())


def _folder(table: pd.DataFrame, store: Path | str | None) -> Path:
    return (Path(store) if store else location()) / table.attrs["experiment"] / table.attrs["key"]


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
    if digest != _hash(_canonical(record).encode()):
        raise DamagedEntry(f"{path} differs from the hash it carries")
    return record


def _find(folder: Path) -> pd.DataFrame | None:
    """The rows of a sound entry; None, and a warning where there is a damaged one, otherwise."""
    if not folder.exists():
        return None
    try:
        return read(folder)
    except DamagedEntry as error:
        logger.warning("stored result not used: %s", error)
        return None


def read(folder: Path) -> pd.DataFrame:
    """The rows of an entry. Raises DamagedEntry as `verify` does."""
    verify(folder)
    table = pd.read_parquet(folder / ROWS)
    table.attrs = {"experiment": folder.parent.name, "key": folder.name}
    return table


def _tables(outcome: Any, experiment: str) -> dict[str, pd.DataFrame]:
    """What an experiment returned, by file name."""
    parts = outcome if isinstance(outcome, tuple) else (outcome,)
    if len(parts) > 2 or not all(isinstance(part, pd.DataFrame) for part in parts):
        kinds = ", ".join(type(part).__name__ for part in parts)
        raise TypeError(f"{experiment} returned ({kinds}); allowed: rows, or (rows, predictions)")
    return {
        name: part.reset_index(drop=part.index.names == [None])
        for name, part in zip((ROWS, PREDICTIONS), parts, strict=False)
    }


def _publish(
    folder: Path, tables: dict[str, pd.DataFrame], record: dict[str, Any], aside: Path
) -> None:
    """Write an entry into `aside`, then publish it by one rename. Needs the lock of the key."""
    shutil.rmtree(aside, ignore_errors=True)  # left by a process that was killed
    try:
        aside.mkdir(parents=True)
        for name, table in tables.items():
            table.to_parquet(aside / name, index=False)
        record["files"] = {name: _hash((aside / name).read_bytes()) for name in tables}
        record["digest"] = _hash(_canonical(record).encode())
        (aside / PROVENANCE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        if folder.exists():  # damaged: kept for whoever wants to know, until the next damage
            damaged = folder.parents[1] / ".damaged" / folder.name
            shutil.rmtree(damaged, ignore_errors=True)
            damaged.parent.mkdir(exist_ok=True)
            folder.rename(damaged)
        durable.publish(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)  # a part, on a full disk
