"""Questions about images with known answers: those of scenes, or a file of the user's own."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vzlib import scenes


class Question(NamedTuple):
    """A question about an image.

    answers: what is accepted; several where annotators differ.
    objects: indices into `Scene.objects` of what it is about; empty where no scene is known.
    """

    task: str
    text: str
    answers: tuple[str, ...]
    objects: tuple[int, ...] = ()


class Asked(NamedTuple):
    """An image and what is asked about it.

    name: of the image, unique. image: uint8 [H, W, 3], or the file that holds it.
    """

    name: str
    image: np.ndarray | Path
    questions: tuple[Question, ...]
    scene: scenes.Scene | None = None


def of_scenes(each: int, split: scenes.Split = "test") -> Iterator[Asked]:
    """The first scenes, until every task has `each` questions.

    A scene is asked one question of a task at most, so that those of a task are independent.
    """
    wanted = dict.fromkeys(scenes.TASKS, each)
    index = 0
    while any(wanted.values()):
        scene = scenes.make(index, split)
        index += 1
        chosen = [question for question in scenes.ask(scene) if wanted[question.task]]
        for question in chosen:
            wanted[question.task] -= 1
        if chosen:
            questions = tuple(Question(q.task, q.text, (q.answer,), q.objects) for q in chosen)
            yield Asked(f"scene {scene.index}", scene.image, questions, scene)
