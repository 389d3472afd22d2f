import json

import numpy as np
import pytest

from vzlib import scenes
from vzlib.scenes.subjects import FILE, subject, subjects

DRAWN = {"astronaut", "camera", "chelsea", "china", "coffee", "coins", "flower", "grace_hopper",
         "motorcycle", "rocket"}  # fmt: skip
# (x, y) on the subject, and beside it
PLACES = {
    "astronaut": [((222, 130), True), ((400, 150), False)],
    "camera": [((205, 130), True), ((400, 150), False), ((250, 200), False), ((293, 400), True)],
    "chelsea": [((170, 110), True), ((420, 100), False)],
    "china": [((230, 200), True), ((500, 100), False)],
    "coffee": [((290, 150), True), ((550, 350), False)],
    "coins": [((347, 187), True), ((75, 85), False)],
    "flower": [((310, 215), True), ((100, 100), False)],
    "grace_hopper": [((260, 220), True), ((450, 100), False)],
    "motorcycle": [((430, 200), True), ((300, 50), False)],
    "rocket": [((323, 260), True), ((200, 260), False)],
}


def photographs():
    return {**scenes.photographs("test"), **scenes.photographs("train")}


def test_masks_have_the_size_of_their_photographs_and_the_others_have_none():
    assert set(subjects()) == DRAWN
    for name, image in photographs().items():
        mask = subject(name)
        if name in DRAWN:
            assert mask.dtype == bool and mask.shape == image.shape[:2]
            assert 0.02 < mask.mean() < 0.8
        else:
            assert mask is None


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_the_subject_lies_where_it_is_seen(name):
    mask = subject(name)
    assert [bool(mask[y, x]) for (x, y), _ in PLACES[name]] == [on for _, on in PLACES[name]]


def test_outlines_lie_within_their_photographs():
    for name, entry in json.loads(FILE.read_text()).items():
        height, width = photographs()[name].shape[:2]
        for outline in entry["outlines"]:
            corners = np.array(outline)
            assert len(corners) > 3 and (corners >= 0).all()
            assert (corners <= [width, height]).all()


def test_a_photograph_that_there_is_not_is_named():
    with pytest.raises(ValueError, match=r"photograph 'cat' is unknown; allowed: .*chelsea"):
        subject("cat")
