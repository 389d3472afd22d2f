"""The store of results: what was measured once is not measured again.

An entry is a folder `<store>/<experiment>/<key>/` with `rows.parquet` (tidy), `provenance.json`
and, where the experiment returns them, `predictions.parquet` (one row per question) and files of
other kinds. The key hashes all that the rows depend on: experiment, settings, model, data and code.
An entry is written aside and published by one rename, so a reader sees all of it or nothing; a lock
per key lets one process compute while the others wait.

`vzlib results` lists, verifies, exports and prunes; see `vzlib.results.command`.
"""

import logging
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from vzlib.paths import RESULTS, from_environment
from vzlib.results import durable, provenance, shipped, sources
from vzlib.results.entry import (
    INGREDIENTS,
    PREDICTIONS,
    PROVENANCE,
    ROWS,
    DamagedEntry,
    canonical,
    describe,
    file,
    key_of,
    predictions,
    provenance_of,
    publish,
    read,
    remove,
    verify,
)

__all__ = [
    "PREDICTIONS",
    "PROVENANCE",
    "ROWS",
    "DamagedEntry",
    "MissingResult",
    "compute",
    "compute_each",
    "describe",
    "entries",
    "file",
    "location",
    "predictions",
    "provenance_of",
    "read",
    "reading_only",
    "remove",
    "store_only",
    "verify",
]

logger = logging.getLogger(__name__)
_reading_only: ContextVar[bool] = ContextVar("reading_only", default=False)


class MissingResult(LookupError):
    """The store has no sound entry for a point, and computing is switched off."""


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


def reading_only() -> bool:
    """Whether nothing may be computed."""
    return _reading_only.get() or os.environ.get("VZLIB_STORE_ONLY") == "1"


def compute(
    experiment: str,
    settings: BaseModel | Mapping[str, Any],
    function: Callable[..., Any],
    *,
    uses: Collection[str] = (),
    model_fingerprint: str | None = None,
    family: Collection[str] = (),
    data_version: str | None = None,
    about: Mapping[str, Any] | None = None,
    store: Path | str | None = None,
) -> pd.DataFrame:
    """The rows of an experiment: from the store, or from `function(settings)`, which are then kept.

    Args:
        experiment: name of the experiment, a folder name such as "attention_by_layer".
        settings: everything that was chosen; all of it enters the key.
        function: called with `settings`; returns tidy rows, a pair (rows, predictions), or either
            with the bytes of further files, by their names, behind it. What it reads besides the
            settings must be covered by the two arguments below.
        uses: modules that `function` uses besides those it imports, such as those of methods.
        model_fingerprint: identifies the weights and configuration of the model.
        family: modules by which a model of its kind is zipped; their code counts like `uses`.
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
        family=family,
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
    family: Collection[str] = (),
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
        source = sources.fingerprint(code, uses={*uses(point), *family})
        values = (experiment, to_jsonable_python(point), model_fingerprint, data_version, source)
        ingredients = dict(zip(INGREDIENTS, values, strict=True))
        keys.append(key_of(ingredients))
        wanted[keys[-1]] = (point, ingredients)
    found = {key: _find(root / experiment / key) for key in wanted}
    for key, (_, ingredients) in wanted.items():
        if found[key] is None:
            found[key] = _shipped(ingredients)
    missing = sorted(key for key, table in found.items() if table is None)
    if missing and reading_only():
        raise MissingResult(
            f"no stored result for {experiment}, settings "
            f"{canonical(wanted[missing[0]][1]['settings'])}, model {model_fingerprint}, "
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
                used = sorted({*uses(wanted[key][0]), *family})
                record |= {"uses": used, "rows": len(tables[ROWS])}
                record["seconds"] = round(record["seconds"] / len(missing), 3)  # its share
                with durable.writing(root):
                    publish(root / experiment / key, tables, record, root / ".aside" / key)
                found[key] = read(root / experiment / key)
    measured = [table for key in keys if (table := found[key]) is not None]
    shipped.note(measured)
    return measured


def _alone(function: Callable[..., Any], points: Sequence[Any]) -> list[Any]:
    return [function(*points)]


def entries(store: Path | str | None = None) -> list[Path]:
    """The folders of all published entries, sound or not, sorted by experiment and key."""
    return sorted(
        path
        for path in (Path(store) if store else location()).glob("[!.]*/*/")
        if re.fullmatch(r"[0-9a-f]{64}", path.name)
    )


def _find(folder: Path) -> pd.DataFrame | None:
    """The rows of a sound entry; None, and a warning where there is a damaged one, otherwise."""
    if not folder.exists():
        return None
    try:
        return read(folder)
    except DamagedEntry as error:
        logger.warning("stored result not used: %s", error)
        return None


def _shipped(ingredients: Mapping[str, Any]) -> pd.DataFrame | None:
    """The rows that ship with the repository; None, and a warning where they are damaged.

    Not while all is measured again, but by who asks within `store_only`, which measures nothing:
    the ledger then finds there what it shows of a model that is not measured this time.
    """
    if os.environ.get(shipped.OFF) == "0" and not _reading_only.get():
        return None
    try:
        return shipped.find(ingredients, exactly=not reading_only())
    except DamagedEntry as error:
        logger.warning("shipped result not used: %s", error)
        return None


def _tables(outcome: Any, experiment: str) -> dict[str, Any]:
    """What an experiment returned, by file name: tables, and the bytes of other files."""
    parts = list(outcome) if isinstance(outcome, tuple) else [outcome]
    others = parts.pop() if len(parts) > 1 and isinstance(parts[-1], dict) else {}
    if len(parts) > 2 or not all(isinstance(part, pd.DataFrame) for part in parts):
        kinds = ", ".join(type(part).__name__ for part in parts)
        raise TypeError(f"{experiment} returned ({kinds}); allowed: rows, or (rows, predictions)")
    tables = {
        name: part.reset_index(drop=part.index.names == [None])
        for name, part in zip((ROWS, PREDICTIONS), parts, strict=False)
    }
    return others | tables
