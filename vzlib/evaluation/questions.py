"""Questions about images with known answers: those of scenes, or a file of the user's own.

A source is "scenes", "things" (the second deck, of real things), or the path of a file as
`vzlib.evaluation.question_file` describes it. Torch is not imported here, so that a notebook can
check its source before anything slow.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from vzlib import scenes
from vzlib.evaluation.question_file import Row, image_problems, parse, refuse
from vzlib.evaluation.scoring import ANNOTATORS, Scoring
from vzlib.scenes import things

DECKS: dict[str, Any] = {"scenes": scenes, "things": things}

Chosen = Literal["auto", "exact", "vqa"]


class Question(NamedTuple):
    """A question about an image.

    answers: what is accepted; several where annotators differ.
    objects: indices into `Scene.objects` of what it is about; empty where no scene is known.
    scoring: of the generated answer, or "verbatim": 1 if greedy decoding gives exactly the first
        answer and ends, which is told without decoding.
    id: of the question in its file.
    """

    task: str
    text: str
    answers: tuple[str, ...]
    objects: tuple[int, ...] = ()
    scoring: Scoring | Literal["verbatim"] = "verbatim"
    id: str = ""


class Asked(NamedTuple):
    """An image and what is asked about it.

    name: of the image, unique. image: uint8 [H, W, 3], or the file that holds it.
    """

    name: str
    image: np.ndarray | Path
    questions: tuple[Question, ...]
    scene: scenes.Scene | None = None


def of_scenes(each: int, split: scenes.Split = "test", deck: str = "scenes") -> Iterator[Asked]:
    """The first scenes of a deck, until every task has `each` questions.

    A scene is asked one question of a task at most, so that those of a task are independent.
    """
    drawn = DECKS[deck]
    wanted = dict.fromkeys(drawn.TASKS, each)
    index = 0
    while any(wanted.values()):
        scene = drawn.make(index, split)
        index += 1
        chosen = [question for question in drawn.ask(scene) if wanted[question.task]]
        for question in chosen:
            wanted[question.task] -= 1
        if chosen:
            questions = tuple(Question(q.task, q.text, (q.answer,), q.objects) for q in chosen)
            yield Asked(f"scene {scene.index}", scene.image, questions, scene)


def check(source: str, scoring: Chosen = "auto") -> None:
    """Raise one ValueError with all that is wrong with a source, images included."""
    refuse(f"questions={source}", problems(source, scoring))


def problems(source: str, scoring: Chosen = "auto") -> list[str]:
    """All that is wrong with a source, images included; nothing is loaded.

    Of an image the beginning is read: damage further on comes out when it is opened.
    """
    found = []
    if scoring not in get_args(Chosen):
        found.append(f"scoring={scoring!r} is unknown; allowed: {', '.join(get_args(Chosen))}")
    if source in DECKS:
        if scoring in get_args(Scoring):
            found.append(f"scoring={scoring!r} is for files; {source} need scoring='auto'")
        return found
    parsed = parse(_path(source))
    found += parsed.problems
    if scoring == "vqa":
        found += [
            f"{row.where}: scoring='vqa' needs at least {ANNOTATORS} answers, not "
            f"{len(row.answers)}"
            for row in parsed.rows
            if len(row.answers) < ANNOTATORS
        ]
    return [*found, *image_problems(parsed.images)]


def read(source: str, each: int, scoring: Chosen = "auto") -> Iterator[Asked]:
    """At most `each` questions of every task, in the order of the source, image by image.

    scoring: of a file's questions. "auto": "vqa" for a task whose questions all have at least four
        answers (with fewer it could not reach 1), else "exact".

    An image is named as its first row writes it, and comes once however often it is asked about.
    Raises ValueError for a file that cannot be read or with malformed rows.
    """
    if source in DECKS:
        return of_scenes(each, deck=source)
    parsed = parse(_path(source))
    refuse(f"questions={source}", parsed.problems)
    return _of_rows(parsed.rows, each, scoring)


def version(source: str) -> str:
    """Changes with the questions, the answers and the bytes of the images of a source.

    Raises ValueError as `check` does.
    """
    if source in DECKS:
        number = str(DECKS[source].VERSION)
        return number if source == "scenes" else f"{source} {number}"
    file = _path(source)
    parsed = parse(file)
    refuse(f"questions={source}", [*parsed.problems, *image_problems(parsed.images)])
    digest = hashlib.blake2b(digest_size=8)
    for path in (file, *parsed.images):
        digest.update(hashlib.blake2b(path.read_bytes()).digest())
    return f"{file.stem} {digest.hexdigest()}"  # the stem may name the task


def _of_rows(rows: Sequence[Row], each: int, scoring: Chosen) -> Iterator[Asked]:
    fewest: dict[str, int] = {}
    for row in rows:
        fewest[row.task] = min(len(row.answers), fewest.get(row.task, len(row.answers)))
    asked: Counter[str] = Counter()
    by_image: dict[Path, list[Row]] = {}
    for row in rows:
        asked[row.task] += 1
        if asked[row.task] <= each:
            by_image.setdefault(row.path, []).append(row)
    for path, own in by_image.items():
        questions = tuple(
            Question(
                row.task, row.question, row.answers, (), _rule(scoring, fewest[row.task]), row.id
            )
            for row in own
        )
        yield Asked(own[0].image, path, questions)


def _rule(scoring: Chosen, fewest: int) -> Scoring:
    if scoring != "auto":
        return scoring
    return "vqa" if fewest >= ANNOTATORS else "exact"


def _path(source: str) -> Path:
    try:
        return Path(source).expanduser()
    except RuntimeError as error:
        raise ValueError(f"questions={source!r}: {error}") from None
