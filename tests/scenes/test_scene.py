"""Scenes: the same bytes everywhere, everything known, refused when asked for the impossible."""

import hashlib

import numpy as np
import pytest

from vzlib import scenes
from vzlib.scenes import glyphs, sprites
from vzlib.scenes.photographs import PHOTOGRAPHS, backgrounds


def digest(split: scenes.Split) -> str:
    content = hashlib.sha256()
    for index in range(64):
        scene = scenes.make(index, split)
        content.update(scene.image.tobytes())
        content.update(repr(scenes.ask(scene, each=2)).encode())
    return content.hexdigest()[:16]


CHECKSUMS = {"version": 1, "train": "b5168e6051b3932e", "test": "5683627b37745b4c"}


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_bytes_of_a_version_never_change(split):
    assert CHECKSUMS["version"] == scenes.VERSION, "a new version needs new checksums"
    assert digest(split) == CHECKSUMS[split]


def test_scenes_of_other_numbers_splits_and_seeds_differ():
    images = [
        scenes.make(0).image,
        scenes.make(1).image,
        scenes.make(0, seed=1).image,
        scenes.make(0, "train").image,
    ]
    assert len({image.tobytes() for image in images}) == len(images)


def test_backgrounds_of_train_and_test_are_disjoint():
    train, test = ({path for _, path in PHOTOGRAPHS[s].values()} for s in ("train", "test"))
    assert train and test and not train & test
    assert all(min(b.shape[:2]) >= 24 * scenes.PATCH for b in backgrounds("test"))


@pytest.mark.parametrize("grid", [12, 24])
def test_objects_lie_inside_apart_and_near_the_patch_grid(grid):
    for index in range(200):
        scene = scenes.make(index, "train", grid=grid)
        assert scene.image.shape == (grid * 8, grid * 8, 3) and scene.image.dtype == np.uint8
        owners = np.zeros((grid * 8, grid * 8), dtype=int)
        for number, thing in enumerate(scene.objects):
            assert thing.left >= 0 and thing.left + thing.width <= grid * 8
            assert thing.top >= 0 and thing.top + thing.height <= grid * 8
            assert scene.mask(number).any()
            owners += scene.mask(number)
        assert owners.max() <= 1
        assert any(thing.kind != "shape" for thing in scene.objects)


def test_the_mask_of_a_shape_is_where_its_colour_is():
    scene = scenes.make(3)
    for number, thing in enumerate(scene.objects):
        if thing.kind == "shape":
            inside = scene.image[scene.mask(number)].astype(float)
            paint = np.array(sprites.COLOURS[str(thing.colour)])
            assert np.abs(np.median(inside, axis=0) - paint).max() <= 13


def test_patches_agree_with_pixels():
    scene = scenes.make(5)
    covered = np.zeros(scene.image.shape[:2], dtype=bool)
    for number in range(len(scene.objects)):
        covered |= scene.mask(number)
    share = covered.reshape(24, 8, 24, 8).mean(axis=(1, 3))
    assert (scene.patches() == (share > 0.1)).all()
    assert 0.01 < scene.patches().mean() < 0.3


def test_a_sign_spells_its_label():
    for scene in map(scenes.make, range(40)):
        for thing in scene.objects:
            if thing.kind in ("word", "number"):
                rows = slice(thing.top + 2, thing.top + thing.height - 2)
                columns = slice(thing.left + 2, thing.left + thing.width - 2)
                plate = scene.image[rows, columns, 0]
                ink = glyphs.write(thing.label)
                contrast = abs(int(plate[ink].mean()) - int(plate[~ink].mean()))
                assert contrast > 200


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"index": -1}, "-1"),
        ({"index": 0, "split": "validation"}, "validation"),
        ({"index": 0, "grid": 40}, "40"),
        ({"index": 0, "seed": -2}, "-2"),
    ],
)
def test_impossible_scenes_are_refused(arguments, told):
    with pytest.raises(ValueError, match=told):
        scenes.make(**arguments)


def test_unknown_shapes_glyphs_and_splits_are_refused():
    with pytest.raises(ValueError, match="heart"):
        sprites.shape_mask("heart", 16)
    with pytest.raises(ValueError, match="!"):
        glyphs.write("A!")
    with pytest.raises(ValueError, match="dev"):
        scenes.photographs("dev")
