"""Questions: right, answerable from the image alone, balanced."""

from collections import Counter

import pytest

from vzlib import scenes

SCENES = [scenes.make(index) for index in range(400)]
ASKED = [(scene, question) for scene in SCENES for question in scenes.ask(scene, each=2)]


def of(task):
    return [(scene, question) for scene, question in ASKED if question.task == task]


def test_every_word_is_in_the_vocabulary():
    words = set(scenes.vocabulary())
    for _, question in ASKED:
        assert {*question.text.split(), *question.answer.split()} <= words


def test_existence_is_true_to_the_objects():
    for scene, question in of("existence"):
        label = question.text.removeprefix("is there a ").removesuffix(" ?")
        present = any(thing.label == label for thing in scene.objects)
        assert question.answer == ("yes" if present else "no")
        assert bool(question.objects) == present


def test_attributes_belong_to_the_one_object_they_name():
    for scene, question in of("attribute"):
        (chosen,) = question.objects
        thing = scene.objects[chosen]
        given, asked = (
            (thing.shape, thing.colour)
            if "what colour" in question.text
            else (thing.colour, thing.shape)
        )
        assert question.answer == asked and str(given) in question.text
        named = [t for t in scene.objects if given in (t.shape, t.colour)]
        assert named == [thing]


def test_counts_are_counts():
    for scene, question in of("counting"):
        shapes = [thing for thing in scene.objects if thing.kind == "shape"]
        word = question.text.split()[2]
        counted = [
            thing
            for thing in shapes
            if word in ("shapes", thing.colour, f"{thing.shape}s", f"{thing.shape}es")
        ]
        assert int(question.answer) == len(counted) == len(question.objects)


def test_reading_gives_what_is_written():
    for scene, question in of("reading"):
        thing = scene.objects[question.objects[0]]
        assert question.answer.replace(" ", "") == thing.label and thing.kind != "shape"


def test_relations_hold_with_a_gap():
    for scene, question in of("relation"):
        one, other = (scene.objects[i] for i in question.objects)
        across = "left" in question.text
        gap = [a - b for a, b in zip(one.centre, other.centre, strict=True)][0 if across else 1]
        assert abs(gap) >= 16
        words = ("left", "right") if across else ("above", "below")
        assert question.answer == words[gap > 0]


@pytest.mark.parametrize(
    ("task", "most"),
    [
        ("existence", 0.56),
        ("attribute", 0.15),
        ("counting", 0.3),
        ("reading", 0.1),
        ("relation", 0.3),
    ],
)
def test_no_answer_is_common_enough_to_be_a_guess(task, most):
    answers = Counter(question.answer for _, question in of(task))
    assert len(of(task)) > 500
    assert answers.most_common(1)[0][1] / answers.total() < most


def test_questions_of_a_task_differ_and_repeat_from_call_to_call():
    for scene in SCENES[:50]:
        questions = scenes.ask(scene, each=4)
        assert len({question.text for question in questions}) == len(questions)
        assert questions == scenes.ask(scene, each=4)
