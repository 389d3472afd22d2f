"""Which questions make a dialogue, and which of them are about the same thing.

The questions about an image are asked in as many dialogues as they are, each of which begins with
another one: over all dialogues every question stands in every turn once, so that turns are compared
on the very same questions, and its first turn is a prefill of its own.
"""

from collections.abc import Iterator
from itertools import count, islice

from vzlib.evaluation import questions
from vzlib.evaluation.questions import DECKS, Asked, Question

EVERY = 1 << 30  # more questions of a task than any file has
SAME, OTHER, UNKNOWN = "the same thing", "another thing", "unknown"


def read(source: str, images: int, turns: int) -> list[Asked]:
    """The first images of a source about which so many questions can be asked, with so many.

    Of scenes a question of each task, those left out taking turns from scene to scene. Raises
    ValueError where the source has fewer than two such images, or a deck fewer tasks.
    """
    if source in DECKS and turns > len(DECKS[source].TASKS):
        raise ValueError(
            f"turns={turns}: {source} have {len(DECKS[source].TASKS)} tasks, and a dialogue asks "
            "one question of each at most"
        )
    found = list(islice(_candidates(source, turns), images))
    if len(found) < 2:
        raise ValueError(f"turns={turns}: {source} has {len(found)} images with so many questions")
    return found


def _candidates(source: str, turns: int) -> Iterator[Asked]:
    if source in DECKS:
        for index in count():
            yield from _of_scene(source, index, turns)
    for one in questions.read(source, EVERY):
        if len(one.questions) >= turns:
            yield one._replace(questions=one.questions[:turns])


def _of_scene(deck: str, index: int, turns: int) -> Iterator[Asked]:
    scene = DECKS[deck].make(index, "test")
    every = [Question(q.task, q.text, (q.answer,), q.objects) for q in DECKS[deck].ask(scene)]
    if len(every) >= turns:
        start = index % len(every)
        chosen = (every[start:] + every[:start])[:turns]
        yield Asked(f"scene {scene.index}", scene.image, tuple(chosen), scene)


def rotations(asked: Asked) -> list[tuple[Question, ...]]:
    """The dialogues about an image: number n begins with question n, and the others follow."""
    every = asked.questions
    return [every[start:] + every[:start] for start in range(len(every))]


def relation(asked: Asked, first: Question, other: Question) -> str:
    """Whether a question is about a thing that the first one was about.

    A question about nothing that is there, as whether there is one of what there is not, is about
    another thing than all others. Unknown where the scene is.
    """
    if asked.scene is None:
        return UNKNOWN
    return SAME if set(first.objects) & set(other.objects) else OTHER
