import numpy as np
import pytest
from PIL import Image

from vzlib.evaluation.pictures import check, patch_share, pictures, version


def save(folder, name, array):
    Image.fromarray(np.asarray(array, dtype=np.uint8)).save(folder / name)


def disc(value=1, height=40, width=60):
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[10:20, 20:40] = value
    return mask


@pytest.fixture
def folder(tmp_path):
    """Three images of 60 x 40 without masks."""
    random = np.random.default_rng(0)
    own = tmp_path / "animals"
    own.mkdir()
    for name in ("cat.jpg", "dog.JPEG", "owl.png"):
        save(own, name, random.integers(0, 255, (40, 60, 3)))
    return own


def give_masks(folder, value=1):
    for name in ("cat.png", "dog.mask.png", "owl.mask.png"):
        save(folder, name, disc(value))


def test_images_are_cut_to_squares_and_counted_on_in_crops(folder):
    found = pictures(str(folder), 7)
    assert [p.name for p in found[:4]] == ["cat.jpg", "dog.JPEG", "owl.png", "cat.jpg 1"]
    assert [p.unit for p in found[3:]] == ["cat.jpg", "dog.JPEG", "owl.png", "cat.jpg"]
    assert found[0].image.shape == (40, 40, 3) and found[0].subject is None
    for few, many in zip(pictures(str(folder), 4), found, strict=False):
        assert np.array_equal(few.image, many.image)


def test_masks_are_cut_as_their_images(folder):
    give_masks(folder)
    for one in pictures(str(folder), 6, with_subject=True):
        assert one.subject.shape == one.image.shape[:2]
    whole = pictures(str(folder), 1)[0].subject
    assert np.array_equal(whole, disc()[:, 10:50])


def test_255_is_a_border_only_where_another_value_says_subject(folder):
    give_masks(folder, value=255)
    assert set(np.unique(pictures(str(folder), 1)[0].subject)) == {0, 1}
    save(folder, "owl.mask.png", np.where(disc(), 2, disc()))
    assert np.isnan(pictures(str(folder), 1)[0].subject).any()
    mask = disc()
    mask[10] = 255
    save(folder, "owl.mask.png", mask)
    values = pictures(str(folder), 3)[2].subject
    assert np.isnan(values[10]).all() and values[12, 15] == 1 and values[0, 0] == 0


def test_black_and_white_and_palette_masks(folder):
    give_masks(folder)
    Image.fromarray(disc(1).astype(bool)).save(folder / "cat.png")
    palette = Image.fromarray(disc(3), mode="P")
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.save(folder / "dog.mask.png")
    for one in pictures(str(folder), 2):
        assert np.array_equal(one.subject, disc()[:, 10:50])


def some(folder):
    save(folder, "cat.png", disc())


def of_another_size(folder):
    give_masks(folder)
    save(folder, "dog.mask.png", disc(width=61))


def in_colour(folder):
    give_masks(folder)
    save(folder, "cat.png", np.zeros((40, 60, 3)))


def of_no_image(folder):
    give_masks(folder)
    save(folder, "cow.mask.png", disc())


def damaged(folder):
    give_masks(folder)
    (folder / "dog.mask.png").write_bytes(b"no PNG")


def damaged_image(folder):
    (folder / "cat.jpg").write_bytes(b"no JPEG")


WRONG = {
    some: r"2 of 3 images have no mask beside them: dog.JPEG, owl.png; the mask of cat.jpg is",
    of_another_size: r"dog.mask.png is 61 x 40 pixels, but dog.JPEG 60 x 40",
    in_colour: r"cat.png is of mode RGB; a mask has one channel",
    of_no_image: r"cow.mask.png is the mask of no image",
    damaged: r"the mask of dog.JPEG: .*dog.mask.png is not an image",
    damaged_image: r"cat.jpg is not an image",
}


@pytest.mark.parametrize("spoil", WRONG, ids=lambda spoil: spoil.__name__)
def test_what_is_wrong_is_said_in_one_error(folder, spoil):
    spoil(folder)
    with pytest.raises(ValueError, match=WRONG[spoil]):
        check([str(folder)])


def test_where_masks_are_needed_none_are_too_few(folder):
    check([str(folder)])
    with pytest.raises(ValueError, match=r"3 of 3 images have no mask"):
        check([str(folder)], with_subject=True)


def test_a_turned_photograph_has_the_size_at_which_it_is_seen(folder):
    give_masks(folder)
    turned = Image.open(folder / "cat.jpg")
    exif = turned.getexif()
    exif[0x112] = 6
    turned.save(folder / "cat.jpg", exif=exif)
    with pytest.raises(ValueError, match=r"cat.png is 60 x 40 pixels, but cat.jpg 40 x 60"):
        check([str(folder)])
    save(folder, "cat.png", disc().T)
    check([str(folder)])


def test_empty_folders_and_what_is_none_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"holds no image"):
        check([str(tmp_path)])
    with pytest.raises(ValueError, match=r"nowhere' is neither photographs.* nor a folder"):
        check([str(tmp_path / "nowhere"), "scenes"])


def test_two_folders_of_one_name_could_not_be_told_apart(folder, tmp_path):
    other = tmp_path / "more" / "animals"
    other.mkdir(parents=True)
    save(other, "cow.png", np.zeros((9, 9, 3)))
    with pytest.raises(ValueError, match="2 of them are called 'animals'"):
        check([str(folder), str(other)])


def test_the_version_follows_images_and_asked_for_masks(folder):
    before = version(str(folder))
    give_masks(folder)
    assert version(str(folder)) == before
    of_masks = version(str(folder), with_subject=True)
    save(folder, "cat.png", disc(2))
    assert version(str(folder), with_subject=True) != of_masks
    save(folder, "cat.jpg", np.zeros((40, 60, 3)))
    assert version(str(folder)) != before


def test_the_share_of_a_patch_leaves_out_what_is_neither():
    pixels = np.zeros((4, 4), dtype=np.float32)
    pixels[:2, 0] = 1
    pixels[2:, 2:] = np.nan
    pixels[0, 1] = np.nan
    assert np.allclose(patch_share(pixels, 2), [[2 / 3, 0], [0, np.nan]], equal_nan=True)
    assert patch_share(np.ones((7, 7), dtype=np.float32), 3).tolist() == [[1, 1, 1]] * 3
