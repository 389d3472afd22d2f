"""Clips and albums: the same bytes everywhere, and answers that the pixels bear out."""

import hashlib
import itertools
from collections import Counter

import numpy as np
import pytest

from vzlib import scenes
from vzlib.scenes import clips

MAKE = {"clip": clips.clip, "album": clips.album}


def digest(kind, split):
    content = hashlib.sha256()
    for index in range(24):
        clip = MAKE[kind](index, split)
        for frame in clip.frames:
            content.update(frame.image.tobytes())
        content.update(repr(clips.ask(clip, 2, lessons=True)).encode())
    return content.hexdigest()[:16]


CHECKSUMS = {
    ("clip", "train"): "c17b9d9d9ead4aab",
    ("clip", "test"): "a718cc55d1a07309",
    ("album", "train"): "970bf8db5113e5b8",
    ("album", "test"): "9e21f7751c403d73",
}


@pytest.mark.parametrize(("kind", "split"), CHECKSUMS)
def test_the_bytes_of_a_version_never_change(kind, split):
    assert clips.VERSION == 1, "a new version needs new checksums"
    assert digest(kind, split) == CHECKSUMS[kind, split]


@pytest.mark.parametrize("grid", [12, 16])
def test_a_clip_is_its_photograph_wherever_no_thing_is(grid):
    for index in range(20):
        clip = clips.clip(index, grid=grid)
        images = np.stack([frame.image for frame in clip.frames])
        assert images.shape == (clips.FRAMES, 8 * grid, 8 * grid, 3)
        covered = np.zeros(images.shape[:3], dtype=bool)
        for number, frame in enumerate(clip.frames):
            for which, thing in enumerate(frame.objects):
                rows = slice(thing.top, thing.top + thing.height)
                covered[number, rows, thing.left : thing.left + thing.width] = True
                assert not (frame.mask(which) & ~covered[number]).any()
        seen_apart = (images != images[0]).any(axis=-1) & ~covered & ~covered[0]
        assert not seen_apart.any()
        assert 2 <= len(clip.shown) <= (5 if grid == 16 else 4)


def test_one_thing_moves_a_patch_each_frame_and_the_others_stay():
    for index in range(40):
        clip = clips.clip(index)
        (name,) = clip.moved
        places = clip.shown[name]
        assert [place.frame for place in places] == list(
            range(places[0].frame, places[-1].frame + 1)
        )
        steps = {
            (there.left - here.left, there.top - here.top)
            for here, there in itertools.pairwise(places)
        }
        assert len(places) >= 4 and len(steps) == 1
        assert sorted(map(abs, steps.pop())) == [0, 8]
        first = [places[0].frame for places in clip.shown.values()]
        assert len(set(first)) == len(first)  # what came first, and last, is never in doubt


def test_answers_about_clips_are_true():
    asked = Counter()
    for index in range(60):
        clip = clips.clip(index)
        seen = {name: clip.name_patches(name).any(axis=(1, 2)) for name in clip.shown}
        for question in clips.ask(clip, 3, lessons=True):
            words, answer = question.text.split(), question.answer
            asked[question.task] += 1
            match question.task:
                case "motion":
                    moved = clip.name_patches(answer)[seen[answer]]
                    assert (moved != moved[0]).any()
                case "frame":
                    name = " ".join(words[4:6])
                    assert seen[name].argmax() + 1 == int(answer)
                    assert ("first" in words) == (seen[name].sum() > 1)
                case "counting":
                    assert int(answer) == len(seen)
                case "order":
                    first = {name: frames.argmax() for name, frames in seen.items()}
                    best = min if "first" in words else max
                    assert answer == best(first, key=lambda name: first[name])
                case "frame existence":
                    name = " ".join(words[3:5])
                    here = name in seen and seen[name][int(words[-2]) - 1]
                    assert here == (answer == "yes")
                case "frame counting":
                    there = sum(frames[int(words[-2]) - 1] for frames in seen.values())
                    assert there == int(answer)
                case "moving":
                    name = " ".join(words[2:4])
                    assert (name in clip.moved) == (answer == "yes")
    assert set(asked) == {*clips.CLIP_TASKS, *clips.LESSONS} and min(asked.values()) >= 60


def test_one_thing_of_an_album_is_in_two_images():
    for index in range(40):
        album = clips.album(index, images=3 + index % 3)
        labels = Counter(thing.name for frame in album.frames for thing in frame.objects)
        assert sorted(labels.values())[-1] == 2 and list(labels.values()).count(2) == 1
        (twice,) = [name for name, count in labels.items() if count == 2]
        questions = {question.task: question for question in clips.ask(album)}
        assert questions["shared"].answer == twice
        image = questions["image"]
        assert labels[" ".join(image.text.split()[4:6])] == 1
        shown = album.frames[int(image.answer) - 1].objects
        assert image.text.split()[4:6] in [thing.name.split() for thing in shown]
        words = questions["existence"].text.split()
        here = [thing.name for thing in album.frames[int(words[-2]) - 1].objects]
        assert (" ".join(words[3:5]) in here) == (questions["existence"].answer == "yes")


def test_no_answer_is_worth_much_by_itself():
    said = {task: Counter() for task in (*clips.CLIP_TASKS, *clips.ALBUM_TASKS)}
    for index in range(200):
        for clip in (clips.clip(index), clips.album(index)):
            for question in clips.ask(clip):
                said[question.task][question.answer] += 1
    for task, limit in {
        "motion": 0.1, "frame": 0.3, "counting": 0.4, "order": 0.1, "image": 0.35,
        "existence": 0.6, "shared": 0.1,
    }.items():  # fmt: skip
        assert said[task].most_common(1)[0][1] < limit * said[task].total()


def test_words_are_known_and_what_cannot_be_is_refused():
    known = {*scenes.vocabulary(), *clips.new_words()}
    for index in range(20):
        for clip in (clips.clip(index), clips.album(index)):
            for question in clips.ask(clip, 3, lessons=True):
                assert {*question.text.split(), *question.answer.split()} <= known
    for make in MAKE.values():
        with pytest.raises(ValueError, match="grid must be 12 to 24 patches, not 8"):
            make(0, grid=8)
        with pytest.raises(ValueError, match="split 'dev' is unknown"):
            make(0, "dev")
    with pytest.raises(ValueError, match="images=9 must be 2 to 8"):
        clips.album(0, images=9)
