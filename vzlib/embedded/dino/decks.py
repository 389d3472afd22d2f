"""The decks of scenes that the language model learns from, and what it is asked about a scene."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from vzlib import scenes
from vzlib.embedded.pico.language import halves
from vzlib.scenes import Question, sheets, things


@dataclass(frozen=True)
class Deck:
    """How the scenes of a deck are made and asked about; `patch` in pixels of its images."""

    make: Callable[..., Any]
    ask: Callable[..., list[Question]]
    version: int
    patch: int


def nothing_asked(scene: Any, each: Mapping[str, int]) -> list[Question]:
    """Of a sheet: what its patches show is told by labels."""
    return []


DECKS = {
    "shapes": Deck(scenes.make, scenes.ask, scenes.VERSION, scenes.PATCH),
    "things": Deck(things.make, things.ask, things.VERSION, things.PATCH),
    "shapes-sheets": Deck(sheets.shapes_sheet, nothing_asked, sheets.VERSION, scenes.PATCH),
    "things-sheets": Deck(sheets.things_sheet, nothing_asked, sheets.VERSION, things.PATCH),
}
ASKED = ("shapes", "things")
TASKS = (*things.TASKS, "half")  # the last one is asked in training only
MORE = 3  # times as many questions are thought of as are asked, so that visits differ


def questions(
    deck: str, scene: Any, corner: list[int], each: Mapping[str, int], visit: int
) -> list[Question]:
    """Up to `each[task]` questions of each task about a scene; another visit asks others.

    corner: row and column of the scene on the full grid, in patches.
    """
    many = {task: MORE * count for task, count in each.items()}
    known = [
        *DECKS[deck].ask(scene, many),
        *halves(scene, corner, many.get("half", 0), DECKS[deck].patch),
    ]
    groups = defaultdict(list)
    for question in known:
        groups[question.task].append(question)
    choice = Random(f"{scene.index} {visit}")
    return [
        question
        for task, group in groups.items()
        for question in _by_turns(choice.sample(group, len(group)))[: each[task]]
    ]


def _by_turns(shuffled: list[Question]) -> list[Question]:
    """One of each answer, then another of each.

    Of questions that differ, "is there ... ?" is answered by no four times as often as by yes: what
    is not there is more than what is. Asked so, "no" is all that is learnt of things.
    """
    places: defaultdict[str, int] = defaultdict(int)
    turns = []
    for question in shuffled:
        turns.append(places[question.answer])
        places[question.answer] += 1
    order = sorted(range(len(shuffled)), key=turns.__getitem__)
    return [shuffled[number] for number in order]
