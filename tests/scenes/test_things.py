"""The second deck: the same bytes everywhere, masks and answers true to what was drawn."""

import csv
import hashlib
import zipfile
from collections import Counter
from functools import cache

import numpy as np
import pytest

from vzlib import scenes
from vzlib.scenes import things
from vzlib.scenes.things import catalogue

CHECKSUMS = {"version": 1, "train": "50ee91a2badd17cc", "test": "431d7b2506f29c20"}


@cache
def drawn(count=120, split="test", grid=24):
    return [things.make(number, split, grid=grid) for number in range(count)]


def asked(task, each=3):
    return [(s, q) for s in drawn() for q in things.ask(s, each) if q.task == task]


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_bytes_of_a_version_never_change(split):
    assert CHECKSUMS["version"] == things.VERSION, "a new version needs new checksums"
    content = hashlib.sha256()
    for scene in drawn(split=split)[:32]:
        content.update(scene.image.tobytes())
        content.update(repr(things.ask(scene, each=2)).encode())
    assert content.hexdigest()[:16] == CHECKSUMS[split]


def test_scenes_of_other_numbers_splits_and_seeds_differ():
    images = [
        things.make(0).image,
        things.make(1).image,
        things.make(0, seed=1).image,
        things.make(0, "train").image,
    ]
    assert len({image.tobytes() for image in images}) == len(images)


def test_the_archive_holds_the_pictures_of_the_table_and_no_other():
    with catalogue.TABLE.open() as file:
        listed = " ".join(f"{row['train']} {row['test']}" for row in csv.DictReader(file)).split()
    assert len(listed) == len(set(listed)) > 200
    with zipfile.ZipFile(catalogue.ARCHIVE) as archive:
        assert sorted(archive.namelist()) == sorted(f"{point}.webp" for point in listed)
    assert catalogue.ARCHIVE.stat().st_size < 2e6
    assert "MIT License" in catalogue.ARCHIVE.with_name("LICENSE.txt").read_text()


def test_names_with_several_renderings_show_others_in_the_test():
    several = [e for e in catalogue.entries() if e.pictures["train"] != e.pictures["test"]]
    assert len(several) > 25
    assert all(not set(e.pictures["train"]) & set(e.pictures["test"]) for e in several)
    shown = {split: {t.picture for s in drawn(split=split) for t in s.objects} for split in
             ("train", "test")}  # fmt: skip
    for entry in several:
        assert not shown["test"] & set(entry.pictures["train"])
        assert not shown["train"] & set(entry.pictures["test"])


@pytest.mark.parametrize("grid", [12, 24])
def test_things_lie_inside_and_only_details_stand_on_another(grid):
    sizes, readable = Counter(), 0
    for scene in drawn(split="train", grid=grid):
        side = grid * things.PATCH
        assert scene.image.shape == (side, side, 3) and scene.image.dtype == np.uint8
        boxes = np.zeros((side, side), dtype=int)
        for number, thing in enumerate(scene.objects):
            assert 0 <= thing.left <= side - thing.width
            assert 0 <= thing.top <= side - thing.height
            assert scene.mask(number).any()
            box = (
                slice(thing.top, thing.top + thing.height),
                slice(thing.left, thing.left + thing.width),
            )
            if thing.on is None:
                boxes[box] += 1
            else:
                host = scene.objects[thing.on]
                assert (
                    host.left <= thing.left and thing.left + thing.width <= host.left + host.width
                )
                assert host.top <= thing.top and thing.top + thing.height <= host.top + host.height
                assert not (scene.mask(thing.on) & scene.mask(number)).any()
            if thing.kind == "picture":
                sizes[thing.width // things.PATCH] += 1
        assert boxes.max() <= 1
        readable += any(thing.kind in ("number", "word", "digit") for thing in scene.objects)
    assert readable > 0.9 * 120
    assert min(sizes) == 1 and max(sizes) == (7 if grid == 24 else 4)


def test_masks_are_where_the_picture_is():
    checked = 0
    for scene in drawn()[:40]:
        for number, thing in enumerate(scene.objects):
            if thing.picture is None or any(other.on == number for other in scene.objects):
                continue
            picture = catalogue.picture(thing.picture, thing.width, thing.mirrored)
            region = scene.image[
                thing.top : thing.top + thing.height, thing.left : thing.left + thing.width
            ]
            solid = picture[..., 3] == 255
            assert (region[solid] == picture[solid, :3]).all()
            inside = scene.mask(number)[
                thing.top : thing.top + thing.height, thing.left : thing.left + thing.width
            ]
            assert inside[solid].all() and not inside[picture[..., 3] == 0].any()
            checked += 1
    assert checked > 40


def test_every_word_is_in_the_vocabulary():
    known = {*scenes.vocabulary(), *things.vocabulary()}
    assert not set(scenes.vocabulary()) & set(things.vocabulary())
    for scene in drawn():
        for question in things.ask(scene, 4):
            assert set(f"{question.text} {question.answer}".split()) <= known


def test_existence_is_true_and_what_is_absent_is_of_a_group_that_is_there():
    for scene, question in asked("existence"):
        name = " ".join(question.text.split()[3:-1])
        present = [thing for thing in scene.objects if thing.name == name]
        assert (question.answer == "yes") == bool(present) == bool(question.objects)
        group = next((e.group for e in catalogue.entries() if e.name == name), None)
        assert group is None or group in {thing.group for thing in scene.objects}


def test_which_names_the_only_one_of_its_group():
    for scene, question in asked("which"):
        group = question.text.split()[1]
        assert [t.name for t in scene.objects if t.group == group] == [question.answer]


def test_attributes_belong_to_the_one_thing_they_name():
    seen = set()
    for scene, question in asked("attribute"):
        (chosen,) = question.objects
        thing = scene.objects[chosen]
        seen.add(question.answer)
        if question.answer in ("small", "large"):
            assert thing.width <= 36 if question.answer == "small" else thing.width >= 72
        else:
            assert question.answer in (thing.colour, thing.shape)
    assert {"small", "large", "red", "circle"} <= seen


def test_counts_are_counts():
    for scene, question in asked("counting"):
        what = question.text.split()[2:-3]
        groups = {things.questions.plural(group): group for group in catalogue.GROUPS}
        if what == ["things"]:
            assert int(question.answer) == len(scene.objects)
        elif what[0] in groups:
            own = [t for t in scene.objects if t.group == groups[what[0]]]
            assert int(question.answer) == len(own) == len(question.objects)


def test_relations_hold_between_things_of_unmistakable_names():
    for scene, question in asked("relation"):
        a, b = (scene.objects[number] for number in question.objects)
        assert sum(t.name == a.name for t in scene.objects) == 1
        right, below = (a.centre[axis] - b.centre[axis] for axis in (0, 1))
        gap = {"left": -right, "right": right, "above": -below, "below": below}[question.answer]
        assert gap >= 28
        assert a.name in question.text and question.text.endswith(f"the {b.name} ?")


def test_details_stand_on_what_is_asked_about():
    answers = []
    for scene, question in asked("detail"):
        (chosen,) = question.objects
        thing = scene.objects[chosen]
        assert thing.on is not None and max(thing.width, thing.height) <= 28
        assert question.text.endswith(f"on the {scene.objects[thing.on].name} ?")
        expected = {"number": {" ".join(thing.label)}, "picture": {thing.label},
                    "shape": {thing.colour, thing.shape}}[thing.kind]  # fmt: skip
        assert question.answer in expected
        answers.append(thing.kind)
    assert set(answers) == {"number", "picture", "shape"}


def test_a_sign_shows_the_same_number_small_or_large():
    texts = {
        (t.height, s.split) for s in drawn() for t in s.objects if t.kind in ("number", "word")
    }
    assert {height for height, _ in texts} == {18, 27, 45}


@pytest.mark.parametrize(
    ("task", "most"),
    [("existence", 0.6), ("which", 0.1), ("attribute", 0.3), ("counting", 0.5), ("reading", 0.15),
     ("relation", 0.4), ("detail", 0.2)],
)  # fmt: skip
def test_no_answer_is_common_enough_to_be_a_guess(task, most):
    answers = Counter(question.answer for _, question in asked(task))
    assert answers.most_common(1)[0][1] / answers.total() <= most, answers.most_common(3)


def test_questions_repeat_from_call_to_call():
    scene = things.make(3)
    assert things.ask(scene, 3) == things.ask(things.make(3), 3)
    texts = [question.text for question in things.ask(scene, 3)]
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"index": 0, "split": "dev"}, "'dev' is unknown; allowed: train, test"),
        ({"index": -1}, "0 or more, not -1"),
        ({"index": 0, "seed": -2}, "and -2"),
        ({"index": 0, "grid": 30}, "12 to 24 patches, not 30"),
    ],
)
def test_impossible_scenes_are_refused(arguments, told):
    with pytest.raises(ValueError, match=told):
        things.make(**arguments)
