"""Questions to train on: of the training scenes of a deck, or of a file."""

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

from vzlib.evaluation import questions
from vzlib.evaluation.questions import DECKS, Asked, Question

SCARCE = 20  # scenes looked at, at most, for one with questions that a model can read


def training_questions(
    source: str, images: int, each: int, tokenizer: Any, seed: int = 0
) -> list[Asked]:
    """The first images of a source with something to ask, and what is asked about each.

    source: a deck, whose training scenes are drawn, or a file of questions. each: questions per
    task and scene, at most; of a file, all that it asks about an image. tokenizer: questions with a
    word that it does not know are left out. seed: of the scenes.

    Raises ValueError if there are fewer images.
    """
    given = _of_deck(source, images, each, seed) if source in DECKS else _of_file(source)
    readable = (_readable(asked, tokenizer) for asked in given)
    found = list(islice((asked for asked in readable if asked.questions), images))
    if len(found) < images:
        raise ValueError(
            f"images={images}: {source} has {len(found)} to train on, whose questions stand in "
            "words that the model knows"
        )
    return found


def _of_deck(source: str, images: int, each: int, seed: int) -> Iterator[Asked]:
    deck = DECKS[source]
    for index in range(SCARCE * images):
        scene = deck.make(index, "train", seed=seed)
        asked = tuple(
            Question(q.task, q.text, (q.answer,), q.objects) for q in deck.ask(scene, each)
        )
        yield Asked(f"training scene {index}", scene.image, asked, scene)


def _of_file(source: str) -> Iterator[Asked]:
    return questions.read(source, sys.maxsize)


def _readable(asked: Asked, tokenizer: Any) -> Asked:
    unknown = tokenizer.unk_token_id
    known = tuple(
        question
        for question in asked.questions
        if unknown is None
        or unknown not in tokenizer(f"{question.text} {question.answers[0]}")["input_ids"]
    )
    return asked._replace(questions=known)
