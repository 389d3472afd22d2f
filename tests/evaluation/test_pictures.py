import numpy as np
import pytest

from vzlib import scenes
from vzlib.evaluation.pictures import KINDS, pictures, square


@pytest.mark.parametrize("kind", KINDS)
def test_more_images_begin_with_the_same_ones(kind):
    few, many = pictures(kind, 18), pictures(kind, 20)
    assert len({picture.name for picture in many}) == 20
    for one, other in zip(few, many, strict=False):
        assert one.name == other.name and np.array_equal(one.image, other.image)


@pytest.mark.parametrize("kind", KINDS)
def test_images_are_square_and_differ(kind):
    chosen = pictures(kind, 34)
    assert all(p.image.shape[0] == p.image.shape[1] and p.image.shape[2] == 3 for p in chosen)
    assert all(p.image.dtype == np.uint8 for p in chosen)
    assert len({p.image.tobytes() for p in chosen}) == 34


def test_crops_belong_to_their_photograph_and_scenes_to_themselves():
    photographs = pictures("photographs", 48)
    assert len({p.unit for p in photographs}) == 16
    assert photographs[0].unit == photographs[16].unit == photographs[32].unit == "camera"
    assert len({p.unit for p in pictures("scenes", 5)}) == 5


def test_the_seed_changes_random_crops_only():
    zero, one = pictures("photographs", 17, seed=0), pictures("photographs", 17, seed=1)
    assert np.array_equal(zero[0].image, one[0].image)
    assert not np.array_equal(zero[16].image, one[16].image)


@pytest.mark.parametrize(
    ("kind", "count", "named"),
    [("photos", 3, "'photos' is neither photographs, scenes"), ("scenes", 0, "count=0")],
)
def test_what_is_not_allowed_is_named(kind, count, named):
    with pytest.raises(ValueError, match=named):
        pictures(kind, count)


@pytest.mark.parametrize(
    ("shape", "corner"), [((4, 9), (0, 2)), ((9, 4), (2, 0)), ((5, 5), (0, 0))]
)
def test_a_square_is_cut_from_the_middle(shape, corner):
    places = np.stack(np.indices(shape), axis=-1)
    cut = square(places)
    assert cut.shape[:2] == (min(shape), min(shape))
    assert tuple(cut[0, 0]) == corner


def test_the_first_crop_of_a_photograph_is_its_central_square():
    camera = pictures("photographs", 1)[0]
    assert np.array_equal(camera.image, square(scenes.photographs("test")["camera"]))
