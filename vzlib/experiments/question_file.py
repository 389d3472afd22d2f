"""A local file of questions about images: Parquet (.parquet) or JSON lines (.jsonl), a row each.

image: file of the image; absolute, or relative to the folder of this file.
question: as the model is to read it, without an image token. Benchmarks of LLaVA-1.5 end it with a
    line of their own, "Answer the question using a single word or phrase."
answers: list of all that is accepted: alternatives, or one answer of each annotator, repeated where
    they agree. Or, in its place,
answer: the only one.
task: optional; by default the file's name without its suffix. Accuracy is counted per task.
id: optional, unique, text or whole number; by default the number of the row, from 1.

Other columns are ignored. An empty (null) cell is as good as none.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, UnidentifiedImageError

SUFFIXES = (".parquet", ".jsonl")
COLUMNS = ("image", "question", "answers", "answer", "task", "id")
IMAGE_TOKEN = "<image>"


class Row(NamedTuple):
    """One question of a file.

    number: of the row or line, from 1. image: as written. path: of the image, absolute.
    """

    number: int
    id: str
    task: str
    image: str
    path: Path
    question: str
    answers: tuple[str, ...]


def parse(file: Path) -> tuple[list[Row], list[str]]:
    """The sound rows of a file, and all that is wrong with it in words."""
    if problem := _unreadable(file):
        return [], [problem]
    try:
        columns, records = _parquet(file) if file.suffix.lower() == ".parquet" else _lines(file)
    except (OSError, ValueError) as error:  # what pyarrow and decoding raise on damaged files
        return [], [f"{file} cannot be read: {str(error).splitlines()[0]}"]
    if not records:
        return [], [f"{file} has no rows"]
    if problems := _missing(columns):
        return [], problems
    word = "row" if file.suffix.lower() == ".parquet" else "line"
    rows: list[Row] = []
    problems, seen = [], dict[str, int]()
    for number, record in records:
        wrong = [record] if isinstance(record, str) else _wrong(record)
        if not wrong and not isinstance(record, str):
            row = _row(number, record, file)
            if row.id in seen:
                wrong = [f"id {row.id!r} is that of {word} {seen[row.id]} too"]
            else:
                seen[row.id] = number
                rows.append(row)
        problems += [f"{word} {number}: {'; '.join(wrong)}"] if wrong else []
    return rows, problems


def image_problems(rows: Iterable[Row]) -> Iterator[str]:
    """Images that are missing or whose beginning is not that of an image, each once."""
    first = {row.path: row for row in reversed(list(rows))}
    for path, row in sorted(first.items(), key=lambda item: item[1].number):
        if not path.is_file():
            yield f"image {row.image} of row {row.number}: there is no file {path}"
            continue
        try:
            with Image.open(path):
                pass
        except UnidentifiedImageError:
            yield f"image {row.image} of row {row.number} is not an image of a known format"
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            yield f"image {row.image} of row {row.number} cannot be opened: {error}"


def _unreadable(file: Path) -> str | None:
    if file.suffix.lower() not in SUFFIXES:
        return f"suffix {file.suffix!r} of {file} is unknown; allowed: {', '.join(SUFFIXES)}"
    return None if file.is_file() else f"there is no file {file}"


def _parquet(file: Path) -> tuple[list[str], list[tuple[int, Any]]]:
    from pyarrow import parquet

    with parquet.ParquetFile(file) as content:
        columns = content.schema_arrow.names
        table = content.read([name for name in COLUMNS if name in columns])
    return columns, list(enumerate(table.to_pylist(), start=1))


def _lines(file: Path) -> tuple[list[str], list[tuple[int, Any]]]:
    """Columns, and numbered lines: a mapping each, or what is wrong with it."""
    columns, records = dict[str, None](), list[tuple[int, Any]]()
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            record = f"no JSON ({error})"
        if isinstance(record, dict):
            columns |= dict.fromkeys(record)
        elif not isinstance(record, str) or line.lstrip().startswith('"'):
            record = f'must be an object, such as {{"image": ...}}, not {_shown(record)}'
        records.append((number, record))
    return list(columns), records


def _missing(columns: list[str]) -> list[str]:
    """Which columns no row has, with the nearest that there are."""
    wanted = ["image", "question"]
    if "answer" not in columns:
        wanted.append("answers")
    problems = []
    for name in wanted:
        if name not in columns:
            near = get_close_matches(name, [c for c in columns if c not in COLUMNS], 1, 0.5)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            label = "answers (or answer)" if name == "answers" else name
            problems.append(f"column {label} is missing{hint}; there are: {', '.join(columns)}")
    return problems


def _wrong(record: Mapping[str, Any]) -> list[str]:
    found = [_not_text("image", record.get("image")), _not_text("question", record.get("question"))]
    if IMAGE_TOKEN in str(record.get("question")):
        found.append(f"question holds {IMAGE_TOKEN}, which is put before it anyway")
    answers = record.get("answers")
    if answers is None:
        found.append(_not_text("answer", record.get("answer")))
    elif not isinstance(answers, list) or not answers:
        found.append(f"answers must be a list of at least one text, not {_shown(answers)}")
    else:
        found += [_not_text(f"answers[{i}]", answer) for i, answer in enumerate(answers)]
    if record.get("task") is not None:
        found.append(_not_text("task", record["task"]))
    identity = record.get("id")
    if identity is not None and (isinstance(identity, bool) or not isinstance(identity, int | str)):
        found.append(f"id must be text or a whole number, not {_shown(identity)}")
    return [problem for problem in found if problem]


def _not_text(name: str, value: Any) -> str | None:
    if value is None:
        return f"{name} is missing"
    if not isinstance(value, str):
        return f"{name} must be text, not {_shown(value)}"
    return None if value.strip() else f"{name} is empty"


def _row(number: int, record: Mapping[str, Any], file: Path) -> Row:
    answers = [record["answer"]] if record.get("answers") is None else record["answers"]
    identity = number if record.get("id") is None else record["id"]
    task = file.stem if record.get("task") is None else record["task"]
    path = (file.parent / record["image"]).resolve()
    return Row(
        number, str(identity), task, record["image"], path, record["question"], tuple(answers)
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
