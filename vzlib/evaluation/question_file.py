"""A local file of questions about images: Parquet (.parquet) or JSON lines (.jsonl), a row each.

image: file of the image; absolute, or relative to the folder of this file.
question: as the model is to read it, without an image token. Benchmarks of LLaVA-1.5 end it with a
    line of their own, "Answer the question using a single word or phrase."
answers: list of all that is accepted: alternatives, or one answer of each annotator, repeated where
    they agree. Or, in its place,
answer: the only one.
task: optional; by default the file's name without its suffix. Accuracy is counted per task; "mean"
    is that over tasks, so that no task can be called so.
id: optional, unique, text or whole number; by default the number of the row, from 1.

Other columns are ignored. An empty (null) cell is as good as none.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, UnidentifiedImageError

from vzlib.parameters import nearest
from vzlib.statistics import MEAN
from vzlib.typed_values import once

COLUMNS = ("image", "question", "answers", "answer", "task", "id")
IMAGE_TOKEN = "<image>"
SHOWN = 10  # problems told one by one


class Row(NamedTuple):
    """One question of a file.

    image: as written. path: of the image, absolute. where: "file.jsonl, line 3", from 1.
    """

    where: str
    id: str
    task: str
    image: str
    path: Path
    question: str
    answers: tuple[str, ...]


class Parsed(NamedTuple):
    """What is in a file.

    rows: the sound ones. images: of all rows, each with its first row. problems: all that is wrong,
    but for the images, in words.
    """

    rows: list[Row]
    images: dict[Path, str]
    problems: list[str]


def parse(file: Path) -> Parsed:
    """Read a file; whatever is wrong with it is told, not raised."""
    if file.suffix.lower() not in READERS:
        suffixes = " or ".join(READERS)
        what = f"neither 'scenes', 'things' nor a file that ends in {suffixes}"
        return Parsed([], {}, [f"questions={str(file)!r} is {what}"])
    word, reader = READERS[file.suffix.lower()]
    try:
        columns, records = reader(file)
    except FileNotFoundError:
        return Parsed([], {}, [f"there is no file of questions {file}"])
    except (OSError, ValueError) as error:  # what pyarrow and decoding raise on damaged files
        return Parsed([], {}, [f"{file} cannot be read: {_shown(error, 200)}"])
    if not records:
        return Parsed([], {}, [f"{file} has no rows"])
    found = Parsed([], {}, _columns(file.name, columns) if columns else [])
    if found.problems:
        return found
    unnamed = any(isinstance(one, dict) and one.get("task") is None for _, one in records)
    if unnamed and (taken := _not_a_task(file.stem)):
        found.problems.append(f"{file.name!a}, as rows without a task have its name: {taken}")
    seen: dict[str, str] = {}
    for number, record in records:
        where = f"{file.name}, {word} {number}"
        wrong = _wrong(record)
        if isinstance(record, dict) and isinstance(record.get("image"), str):
            found.images.setdefault(_image(file, record), where)
        if not wrong:
            row = _row(number, where, record, file)
            first = seen.setdefault(row.id, where)
            wrong = [] if first == where else [f"id {row.id!r} is that of {first} too"]
            found.rows.append(row)
        if wrong:
            found.problems.append(f"{where}: {'; '.join(wrong)}")
    return found


def refuse(what: str, wrong: Sequence[str]) -> None:
    """Raise one ValueError that tells the first problems and counts the rest, if there are any."""
    if not wrong:
        return
    count = "1 problem" if len(wrong) == 1 else f"{len(wrong)} problems"
    rest = len(wrong) - SHOWN
    more = [f"and {rest} more"] if rest > 0 else []
    raise ValueError("\n  ".join([f"{count} with {what}:", *wrong[:SHOWN], *more]))


def image_problems(images: Mapping[Path, str]) -> Iterator[str]:
    """Images that are missing, or whose beginning is not that of an image.

    images: with where each is asked about. Of a file only the beginning is read.
    """
    for path, where in images.items():
        if not os.path.isfile(path):  # Path.is_file raises for names that are too long
            yield f"{where}: there is no image file {_shown(str(path), 200)}"
            continue
        try:
            with Image.open(path):
                pass
        except UnidentifiedImageError:
            yield f"{where}: {path} is not an image of a known format"
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            yield f"{where}: image {path} cannot be opened: {error}"


def _parquet(file: Path) -> tuple[list[str], list[tuple[int, Any]]]:
    from pyarrow import parquet

    with parquet.ParquetFile(file) as content:
        columns = content.schema_arrow.names
        table = content.read([name for name in COLUMNS if columns.count(name) == 1])
    return columns, list(enumerate(table.to_pylist(), start=1))


def _lines(file: Path) -> tuple[list[str], list[tuple[int, Any]]]:
    """Columns and numbered lines; in place of a line that is no JSON stands the error."""
    columns, records = dict[str, None](), list[tuple[int, Any]]()
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line, object_pairs_hook=once)
        except ValueError as error:
            record = error
        except RecursionError:
            record = ValueError("brackets within brackets, too deep to read")
        if isinstance(record, dict):
            columns |= dict.fromkeys(record)
        records.append((number, record))
    return list(columns), records


READERS = {".parquet": ("row", _parquet), ".jsonl": ("line", _lines)}


def _columns(file: str, columns: list[str]) -> list[str]:
    """Which columns no row has, with the nearest that there are, and which stand twice."""
    wanted = ["image", "question"]
    if "answer" not in columns:
        wanted.append("answers")
    there = ", ".join(columns)
    others = [name for name in columns if name not in COLUMNS]
    labels = {"answers": "answers (or answer)"}
    return [
        f"{file}: column {labels.get(name, name)} is missing; {nearest(name, others)}"
        f"there are: {there}"
        for name in wanted
        if name not in columns
    ] + [
        f"{file}: column {name} stands {columns.count(name)} times; there are: {there}"
        for name in COLUMNS
        if columns.count(name) > 1
    ]


def _wrong(record: Any) -> list[str]:
    if isinstance(record, ValueError):
        return [f"no JSON: {record}"]
    if not isinstance(record, dict):
        return [f'must be an object such as {{"image": ...}}, not {_shown(record)}']
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
        found.append(_not_a_task(record["task"]))
    identity = record.get("id")
    if identity is not None and (isinstance(identity, bool) or not isinstance(identity, int | str)):
        found.append(f"id must be text or a whole number, not {_shown(identity)}")
    return [problem for problem in found if problem]


def _not_text(name: str, value: Any) -> str | None:
    if value is None:
        return f"{name} is missing"
    if not isinstance(value, str):
        return f"{name} must be text, not {_shown(value)}"
    if torn := next((letter for letter in value if "\ud800" <= letter <= "\udfff"), None):
        return f"{name} holds half a letter, {torn!a}"
    return None if value.strip() else f"{name} is empty"


def _not_a_task(value: Any) -> str | None:
    if isinstance(value, str) and value.strip() == MEAN:
        return f"task {value!r} is taken by the mean over tasks; any other name is allowed"
    return _not_text("task", value)


def _row(number: int, where: str, record: Mapping[str, Any], file: Path) -> Row:
    answers = [record["answer"]] if record.get("answers") is None else record["answers"]
    identity = number if record.get("id") is None else record["id"]
    task = file.stem if record.get("task") is None else record["task"]
    image = record["image"]
    told = (where, str(identity), task, image, _image(file, record))
    return Row(*told, record["question"], tuple(answers))


def _image(file: Path, record: Mapping[str, Any]) -> Path:
    return Path(os.path.abspath(file.parent / record["image"]))  # touches no disk, so never fails


def _shown(value: Any, most: int = 40) -> str:
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."
