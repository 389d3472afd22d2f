"""Stored rows, or predictions, as one CSV table that says of every row what it was measured on."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any, NamedTuple

import pandas as pd
from pyarrow import parquet
from pydantic_core import to_json

from vzlib import notebooks, results
from vzlib.parameters import nearest, unknown
from vzlib.results import durable

PROVENANCE = ("commit", "dirty", "seconds", "finished_utc")


VALUES = 30  # that an error names


class Entry(NamedTuple):
    """An entry whose rows are wanted.

    wanted: name and text of the columns of its rows that are to be chosen by.
    """

    file: Path
    before: dict[str, Any]
    columns: list[str]
    wanted: list[tuple[str, str]]


def export(
    to: Path | None,
    analysis: str | None = None,
    model: str | None = None,
    questions: str | None = None,
    typed: Sequence[tuple[str, str]] = (),
    predictions: bool = False,
) -> int:
    """Write rows as one CSV table, to standard output or a file; 1 if an entry is damaged, else 0.

    A row begins with its entry (`entry.model` and `entry.questions` are their names,
    `entry.weights` and `entry.data` hashes of what they hold) and the settings that decide on it
    (`settings.equalise`). One entry at a time is in memory.

    analysis: its name, that of an experiment as stored, or that of a notebook ("06").
    model, questions: names as they were given when it was measured, or the hashes.
    typed: names and values of settings, or else of columns of the rows, such as method.
    predictions: what was answered to each question, where it was stored, instead of the rows.

    Raises:
        ValueError: nothing in the store has that name or value; it says what there is.
    """
    records, damaged = _records()
    records = _of_analysis(records, analysis)
    for column, text in (("model", model), ("questions", questions)):
        records = _about(records, column, text)
    of_entry = results.PREDICTIONS if predictions else results.ROWS
    chosen = list(_chosen(records, typed, of_entry))
    names = list(dict.fromkeys(name for one in chosen for name in one.before))
    names += dict.fromkeys(name for one in chosen for name in one.columns if name not in names)
    count, used = 0, 0
    with durable.writing_whole(to) if to else nullcontext(sys.stdout.buffer) as file:
        header = True
        for one in chosen:
            rows = 0
            for table in _tables(one):
                _write(table.reindex(columns=names), file, header)
                header, rows = False, rows + len(table)
            count, used = count + rows, used + bool(rows)
        if typed and records and not count:
            raise ValueError(_nothing(records, typed, of_entry))
    if to:
        print(f"{count} rows of {used} entries in {to}")
    return 1 if damaged else 0


def _records() -> tuple[dict[Path, dict[str, Any]], int]:
    """The records of sound entries, and how many others there are."""
    found, damaged = {}, 0
    for folder in results.entries():
        try:
            results.verify(folder)
            found[folder] = results.provenance_of(folder)
        except results.DamagedEntry as error:
            damaged += 1
            print(f"left out: {error}", file=sys.stderr)
    return found, damaged


def _of_analysis(
    records: dict[Path, dict[str, Any]], name: str | None
) -> dict[Path, dict[str, Any]]:
    if name is None:
        return records
    names = {
        folder: (record["experiment"], _analysis(record)) for folder, record in records.items()
    }
    there = sorted({one for pair in names.values() for one in pair if one})
    if name not in there:
        try:
            (notebook,) = notebooks.find([name])
        except ValueError:
            raise ValueError(f"--analysis {unknown(name, there)}") from None
        name = notebooks.analysis(notebook.stem)
    return {folder: record for folder, record in records.items() if name in names[folder]}


def _analysis(record: Mapping[str, Any]) -> str:
    """The folder of the code that made an entry; empty for code outside vzlib."""
    before, _, after = record.get("function", "").partition("vzlib.experiments.")
    return "" if before else after.partition(".")[0]


def _about(
    records: dict[Path, dict[str, Any]], what: str, text: str | None
) -> dict[Path, dict[str, Any]]:
    """Those that were measured on a model or on questions."""
    if text is None:
        return records
    names = {
        folder: (_name(record, what), _hash(record, what)) for folder, record in records.items()
    }
    there = sorted({one for name, told in names.values() if (one := name or told)})
    given = {text, str(Path(text).absolute())}
    found = {folder: record for folder, record in records.items() if given & set(names[folder])}
    if records and not found:
        raise ValueError(f"--{what} {unknown(text, there)}")
    return found


def _name(record: Mapping[str, Any], what: str) -> str | None:
    return record.get("about", {}).get(what)


def _hash(record: Mapping[str, Any], what: str) -> str | None:
    return record["model" if what == "model" else "data"]


def _chosen(
    records: Mapping[Path, dict[str, Any]], typed: Sequence[tuple[str, str]], file: str
) -> Iterator[Entry]:
    """The entries whose settings are those that were typed, if they have such settings."""
    seen = set[str]()
    for folder, record in records.items():
        if not (folder / file).is_file():
            continue
        settings = record["settings"] if isinstance(record["settings"], dict) else {}
        columns = parquet.read_schema(folder / file).names
        seen |= {*settings, *columns}
        if all(_same(settings[name], text) for name, text in typed if name in settings):
            before = {
                "entry.experiment": record["experiment"],
                "entry.key": folder.name,
                "entry.model": _name(record, "model"),
                "entry.weights": _hash(record, "model"),
                "entry.questions": _name(record, "questions"),
                "entry.data": _hash(record, "questions"),
            }
            before |= {f"entry.{name}": record[name] for name in PROVENANCE}
            before |= {f"settings.{name}": _cell(value) for name, value in settings.items()}
            rest = [(name, text) for name, text in typed if name not in settings]
            if all(name in columns for name, _ in rest):
                yield Entry(folder / file, before, columns, rest)
    if missing := [name for name, _ in typed if records and name not in seen]:
        raise ValueError("\n".join(f"-p {unknown(name, sorted(seen))}" for name in missing))


def _nothing(
    records: Mapping[Path, dict[str, Any]], typed: Sequence[tuple[str, str]], file: str
) -> str:
    """Which of the values no row has, and those that there are; or that no row has them all."""
    said = []
    for name, text in typed:
        there: dict[str, Any] = {}
        for folder, record in records.items():
            path = folder / file
            settings = record["settings"] if isinstance(record["settings"], dict) else {}
            if name in settings:
                there[_text(settings[name])] = settings[name]
            elif path.is_file() and name in parquet.read_schema(path).names:
                column = parquet.read_table(path, columns=[name]).column(0)
                there |= {_text(value): value for value in column.unique().to_pylist()}
        if not any(_same(value, text) for value in there.values()):
            shown = sorted(there)[:VALUES] + ["..."] * (len(there) > VALUES)
            asked = nearest(text, sorted(there))
            said.append(f"-p {name} {text}: no row has it; {asked}there are {', '.join(shown)}.")
    pairs = ", ".join(f"{name} {text}" for name, text in typed)
    return "\n".join(said) or f"-p: no row has all of {pairs}."


def _same(value: Any, text: str) -> bool:
    """Whether a text is how a person, or this table, writes a value."""
    if isinstance(value, str):
        return value == text
    try:
        return bool(json.loads(text) == json.loads(to_json(value)))
    except ValueError:
        return str(value) == text


def _text(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value).decode()


def _cell(value: Any) -> Any:
    return to_json(value).decode() if isinstance(value, list | dict) else value


def _tables(one: Entry) -> Iterator[pd.DataFrame]:
    """The wanted rows of an entry, with what stands before them, in pieces."""
    for batch in parquet.ParquetFile(one.file).iter_batches():
        table = batch.to_pandas()
        for name, text in one.wanted:
            same = {value: _same(value, text) for value in table[name].unique().tolist()}
            table = table[table[name].map(same)]
        if len(table):
            yield table.assign(**one.before)


def _write(table: pd.DataFrame, file: IO[bytes], header: bool) -> None:
    file.write(table.to_csv(index=False, header=header).encode())
    file.flush()
