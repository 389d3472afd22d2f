"""Images as people have them: every mode, damaged files, absurd sizes."""

import base64
import io
import struct

import numpy as np
import pytest
import torch
from PIL import Image

import vzlib
from tests import tiny
from vzlib.models.images import prepare_images

RED = (200, 30, 40)


def test_rgb_stays_as_it_is():
    image = tiny.image()
    assert np.array_equal(vzlib.open_image(image), image)


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "LA", "RGBA", "YCbCr", "HSV"])
def test_every_mode_becomes_rgb(mode):
    opened = vzlib.open_image(Image.new("RGB", (9, 7), "white").convert(mode))
    assert (opened.mode, opened.size) == ("RGB", (9, 7))
    assert np.asarray(opened).min() > 250


def test_transparency_is_laid_over_white():
    image = Image.new("RGBA", (4, 4), (*RED, 0))
    image.putpixel((0, 0), (*RED, 255))
    opened = vzlib.open_image(image)
    assert opened.getpixel((0, 0)) == RED
    assert opened.getpixel((1, 1)) == (255, 255, 255)


def test_transparent_palette_is_laid_over_white(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, *RED])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "palette.png", transparency=0)
    opened = vzlib.open_image(tmp_path / "palette.png")
    assert opened.getpixel((0, 0)) == (255, 255, 255)
    assert opened.getpixel((1, 1)) == RED


def test_sixteen_bit_grey_is_scaled_not_clipped():
    values = np.array([[0, 32768, 65535]], dtype=np.uint16)
    opened = np.asarray(vzlib.open_image(Image.fromarray(values)))
    assert opened[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("top", [1, 2, 200, 255, 256, 4095, 65535])
@pytest.mark.parametrize("transparency", [None, 0])
def test_sixteen_bits_are_scaled_alike_however_bright_they_are(tmp_path, top, transparency):
    path = tmp_path / "grey.png"
    options = {} if transparency is None else {"transparency": transparency}
    Image.fromarray(np.array([[1, top]], np.uint16)).save(path, **options)
    seen = np.asarray(vzlib.open_image(path))[0, :, 0].tolist()
    assert seen == [0, round(top * 255 / 65535)]


def test_greys_of_no_known_range_are_refused(tmp_path):
    for values, message in (
        (np.array([[0, 100_000]], np.int32), "greys from 0 to 100000; allowed: 0 to 65535"),
        (np.array([[0, 1000]], np.float32), "must lie in 0 to 1"),
    ):
        Image.fromarray(values).save(tmp_path / "grey.tif")
        with pytest.raises(ValueError, match=message):
            vzlib.open_image(tmp_path / "grey.tif")


def test_odd_entries_beside_a_rotation_change_nothing(tmp_path):
    path = tmp_path / "odd.jpg"
    for tag in (0x100, 0x11A, 0x132, 0x8298):
        for kind, value in ((1, b"\xff\0\0\0"), (4, b"\xff" * 4), (9, b"\xff" * 4), (2, b"abc\0")):
            entries = struct.pack("<HHII", 0x112, 3, 1, 6) + struct.pack("<HHI", tag, kind, 1)
            head = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2)
            Image.new("RGB", (40, 30)).save(path, exif=head + entries + value + b"\0" * 4)
            assert vzlib.open_image(path).size == (30, 40)


def test_what_cannot_be_read_is_one_value_error():
    content = io.BytesIO()
    Image.effect_noise((200, 200), 80).save(content, "JPEG")
    cut = Image.open(io.BytesIO(content.getvalue()[: len(content.getvalue()) // 2]))
    closed = Image.open(io.BytesIO(content.getvalue()))
    closed.close()
    for image in (cut, closed, "x" * 300, "a\0b.png"):
        with pytest.raises(ValueError):
            vzlib.open_image(image)
    assert vzlib.open_image(torch.full((3, 5, 6), 0.5).bfloat16()).size == (6, 5)


@pytest.mark.parametrize(
    "array",
    [
        np.full((5, 6), 200, np.uint8),
        np.full((5, 6, 1), 200, np.uint8),
        np.full((5, 6, 3), 200, np.uint8),
        np.full((3, 5, 6), 200, np.uint8),
        np.full((5, 6), 200 / 255, np.float32),
        torch.full((3, 5, 6), 200, dtype=torch.uint8),
        np.dstack([np.full((5, 6, 3), 200, np.uint8), np.full((5, 6), 255, np.uint8)]),
    ],
    ids=["grey", "one channel", "RGB", "channels first", "float", "tensor", "RGBA"],
)
def test_arrays(array):
    opened = vzlib.open_image(array)
    assert opened.size == (6, 5)
    assert (np.asarray(opened) == 200).all()


def test_a_camera_turned_on_its_side(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "turned.jpg", exif=exif)
    assert vzlib.open_image(tmp_path / "turned.jpg").size == (4, 8)


def test_one_pixel_is_an_image():
    assert vzlib.open_image(Image.new("L", (1, 1), 7)).getpixel((0, 0)) == (7, 7, 7)


@pytest.mark.parametrize("size", [(20_000, 2), (2, 20_000)])
def test_of_a_strip_only_the_middle_is_used_and_said(size):
    strip = np.zeros((size[1], size[0], 3), np.uint8)
    strip[size[1] // 2 - 1 : size[1] // 2 + 1, size[0] // 2 - 1 : size[0] // 2 + 1] = 255
    with pytest.warns(UserWarning, match=f"{size[0]} x {size[1]} pixels: only its middle"):
        opened = vzlib.open_image(strip)
    assert sorted(opened.size) == [2, 32]
    assert np.asarray(opened).max() == 255


def test_twenty_thousand_wide_panorama_stays_whole():
    assert vzlib.open_image(Image.new("L", (20_000, 1_300))).size == (20_000, 1_300)


def test_a_large_photograph_is_no_attack(tmp_path):
    path = tmp_path / "large.png"
    Image.new("1", (10_000, 9_500)).save(path)  # 95 million pixels: PIL alone would warn
    assert vzlib.open_image(path).size == (10_000, 9_500)


@pytest.mark.parametrize("size", [(13_000, 13_000), (100_001, 8_000)])
def test_too_many_pixels_are_refused_by_size(tmp_path, size):
    path = tmp_path / "bomb.png"
    Image.new("1", size).save(path)
    with pytest.raises(ValueError, match=f"bomb.png (is {size[0]} x {size[1]}|is too large)"):
        vzlib.open_image(path)


def test_damaged_files_are_named(tmp_path):
    whole = tmp_path / "whole.png"
    tiny.image().save(whole)
    cases = {
        "empty.png": (b"", "is empty"),
        "text.png": (b"this is no image", "not an image of a known format"),
        "cut.png": (whole.read_bytes()[:5000], "is corrupt"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}.*{message}"):
            vzlib.open_image(tmp_path / name)
    with pytest.raises(ValueError, match=r"no image file at .*none\.png"):
        vzlib.open_image(tmp_path / "none.png")
    with pytest.raises(ValueError, match="no image file at"):
        vzlib.open_image(tmp_path)
    assert vzlib.open_image(str(whole)).size == tiny.image().size


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 4, 5), np.uint8), r"not \[5, 4, 5\]"),
        (np.zeros(4, np.uint8), r"not \[4\]"),
        (np.zeros((0, 4, 3), np.uint8), "4 x 0 pixels"),
        (np.zeros((4, 4), np.int64), "not int64"),
        (np.full((4, 4), np.nan), "NaN"),
        (np.full((4, 4), 200.0), "0 to 1, not 200 to 200"),
    ],
)
def test_arrays_that_are_no_images_are_refused(array, message):
    with pytest.raises(ValueError, match=message):
        vzlib.open_image(array)


def test_other_things_are_refused_by_type():
    with pytest.raises(ValueError, match="not bytes"):
        vzlib.open_image(b"...")


def test_nested_lists_keep_their_form():
    array = np.zeros((2, 4, 4, 3), np.uint8)
    prepared = prepare_images([[tiny.image()], list(array)])
    assert [len(images) for images in prepared] == [1, 2]
    assert prepared[0][0].mode == "RGB"
    assert prepare_images(array) is array  # the stock processor takes it as it is
    assert [image.size for image in prepare_images(array[..., :1])] == [(4, 4), (4, 4)]
    assert prepare_images("https://example.org/cat.png") == "https://example.org/cat.png"


def test_an_image_in_base64_is_left_to_the_stock_processor(tmp_path):
    file = tmp_path / "image.png"
    tiny.image().save(file)
    encoded = base64.encodebytes(file.read_bytes()).decode()
    for text in (encoded, encoded.replace("\n", "")):
        stock, zipped = (
            processor(text="<image>", images=text, return_tensors="pt")["pixel_values"]
            for processor in both_processors()
        )
        assert torch.equal(stock, zipped)
    with pytest.raises(ValueError, match="no image file at"):
        prepare_images(encoded[: len(encoded) // 4].swapcase())


@pytest.mark.parametrize(
    "shape", [(3, 3, 3), (3, 7, 3), (2, 2, 3), (3, 2, 2), (3, 5, 4), (4, 5, 3)]
)
def test_colours_of_small_arrays_are_where_the_stock_processor_looks(shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    stock, zipped = (
        processor(text="<image>", images=array, return_tensors="pt")["pixel_values"]
        for processor in both_processors()
    )
    assert torch.equal(stock, zipped)


def both_processors():
    model, processor = tiny.llava(image_size=48)
    return processor, vzlib.zip_model(model, processor, retain=2).processor
