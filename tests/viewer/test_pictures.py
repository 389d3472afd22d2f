"""What people upload: images of any kind are opened, whatever is broken is one clear error."""

import io
import random

import numpy as np
import pytest
from PIL import Image

from vzlib.viewer import pictures
from vzlib.viewer.pictures import MEGABYTES, example, examples, uploaded

BROKEN = 200


@pytest.mark.parametrize("name", examples())
def test_examples_are_square_and_known_to_notebook_00(name):
    picture = example(name)
    assert picture.image.dtype == np.uint8 and picture.image.shape[0] == picture.image.shape[1]
    assert picture.asked and all(text.endswith("?") for text, _ in picture.asked)
    deck, _, number = name.partition(" ")
    expected = {"questions": deck, "scene": int(number)} if number else {"photograph": name}
    assert picture.setting == expected


def test_an_unknown_example_names_those_there_are():
    with pytest.raises(ValueError, match="did you mean rocket"):
        example("rockt")


def test_an_upload_is_cut_to_its_middle_and_turned_as_it_was_held(tmp_path):
    image = Image.new("RGB", (60, 20), "red")
    image.paste("blue", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x112] = 6
    image.save(tmp_path / "held.jpg", exif=exif)
    picture = uploaded(tmp_path / "held.jpg")
    assert picture.image.shape == (20, 20, 3) and picture.name == "held.jpg"
    assert picture.image[..., 0].mean() > 200  # the red middle, and not the blue end
    assert picture.setting == {"photograph": "held.jpg"}


def test_limits_name_the_value_and_what_is_allowed(tmp_path, monkeypatch):
    path = tmp_path / "wide.png"
    Image.new("1", (6000, 5000)).save(path)
    with pytest.raises(ValueError, match=r"wide.png is 6000 x 5000 pixels; allowed: 25 million"):
        uploaded(path)
    monkeypatch.setattr(pictures, "MEGABYTES", 0)
    with pytest.raises(ValueError, match=r"wide.png has .* MB; allowed: at most 0 MB"):
        uploaded(path)
    assert MEGABYTES == 20
    Image.new("RGB", (9, 9)).save(tmp_path / "icon.ico")
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"icon\.ico is ICO; allowed: PNG, JPEG"):
        uploaded(tmp_path / "icon.ico")


def broken_files(folder, count=BROKEN):
    """So many files that are no image: cut off, overwritten, of other kinds, empty."""
    draw = random.Random(0)
    for number in range(count):
        kind = ("png", "jpeg", "webp", "bmp", "gif", "tiff")[number % 6]
        content = io.BytesIO()
        noise = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(content, format=kind)
        whole = bytearray(content.getvalue())
        how = number // 6 % 5
        if how == 0:  # cut off within its header or its body
            whole = whole[: draw.randrange(1, len(whole) // 2)]
        elif how == 1:  # the beginning overwritten
            whole[: draw.randrange(2, 24)] = draw.randbytes(24)
        elif how == 2:  # something else by this name
            whole = bytearray(draw.randbytes(draw.randrange(1, 3000)))
        elif how == 3:  # a text
            whole = bytearray(b"<svg xmlns='http://www.w3.org/2000/svg'><rect/></svg>")
        else:  # nothing
            whole = bytearray()
        path = folder / f"broken{number}.{kind}"
        path.write_bytes(whole)
        yield path


def test_two_hundred_broken_files_are_one_clear_error_each(tmp_path):
    refused = 0
    for path in broken_files(tmp_path):
        try:
            image = uploaded(path).image
        except ValueError as error:
            assert path.name in str(error) and "\n" not in str(error), error
            assert str(tmp_path) not in str(error)
            refused += 1
        else:  # some damage leaves an image, as decoders take it
            assert image.shape[0] == image.shape[1] > 0
    assert refused >= 0.9 * BROKEN
