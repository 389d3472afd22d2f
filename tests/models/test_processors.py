"""The processor of a zipped model."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor

from tests import tiny
from vzlib.models.processors import shorten, zip_processor

TEXT = "USER: <image> how many ? ASSISTANT:"


def placeholders(processor, image):
    inputs = processor(images=image, text=TEXT, return_tensors="pt")
    assert inputs["pixel_values"].shape == (1, 3, 48, 48)
    assert inputs["pixel_values"].isfinite().all()
    return int((inputs["input_ids"] == 4).sum())


@pytest.fixture
def stock():
    return tiny.processor(image_size=48)


def test_the_original_is_not_changed(stock):
    before = dict(stock.__dict__)
    zipped = zip_processor(stock, 5)
    assert placeholders(zipped, tiny.image()) == 5
    assert placeholders(stock, tiny.image()) == 36
    assert stock.__dict__ == before
    assert type(zipped) is type(stock)


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_copies_and_pickles_stay_zipped(stock, twin):
    assert placeholders(twin(zip_processor(stock, 5)), tiny.image()) == 5


def test_saved_it_is_the_stock_processor(stock, tmp_path):
    zip_processor(stock, 5).save_pretrained(tmp_path)
    assert placeholders(AutoProcessor.from_pretrained(tmp_path), tiny.image()) == 36


@pytest.mark.parametrize(
    "image",
    [
        Image.new("L", (60, 50)),
        Image.new("RGBA", (60, 50)),
        Image.new("P", (60, 50)),
        Image.new("RGB", (1, 1)),
        np.zeros((50, 60), np.uint8),
        np.zeros((1, 1, 3), np.uint8),
    ],
    ids=["grey", "RGBA", "palette", "one pixel", "grey array", "one pixel array"],
)
def test_any_kind_of_image(stock, image):
    assert placeholders(zip_processor(stock, 5), image) == 5


def test_a_strip_of_20_000_pixels_does_not_fill_the_memory(stock):
    with pytest.warns(UserWarning, match="only its middle"):
        assert placeholders(zip_processor(stock, 5), Image.new("RGB", (20_000, 1))) == 5


def test_paths_and_damaged_files(stock, tmp_path):
    zipped = zip_processor(stock, 5)
    tiny.image().save(tmp_path / "good.png")
    (tmp_path / "empty.png").touch()
    assert placeholders(zipped, str(tmp_path / "good.png")) == 5
    with pytest.raises(ValueError, match=r"empty\.png is empty"):
        placeholders(zipped, [tmp_path / "empty.png"])


def test_pixel_values_that_are_not_finite_are_refused(stock):
    zipped = zip_processor(stock, 5)
    image = torch.zeros(3, 48, 48)
    image[0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="image array must be finite"):
        zipped(images=[torch.zeros(3, 48, 48), image], text=f"{TEXT} <image>")
    image[0, 0, 0] = 1e-3
    with (
        pytest.warns(RuntimeWarning, match="divide by zero|invalid value"),
        pytest.raises(ValueError, match="pixel values of image 0 are NaN or infinite"),
    ):
        zipped(images=image, text=TEXT, image_std=[0.0, 0.0, 0.0])


def test_text_without_images(stock):
    ids = zip_processor(stock, 5)(text="how many ?", return_tensors="pt")["input_ids"]
    assert ids.shape == (1, 4)


@pytest.mark.parametrize(("old", "new"), [(35, 5), (36, 37)])
def test_shorten_refuses_counts_that_do_not_fit(stock, old, new):
    inputs = stock(images=tiny.image(), text=TEXT, return_tensors="pt")
    with pytest.raises(ValueError, match=f"36 image placeholders from {old} to {new}"):
        shorten(inputs, image_token_id=4, pad_token_id=0, old=[old], new=[new])


@pytest.mark.parametrize(
    "options",
    [{}, {"do_rescale": False}, {"do_normalize": False}, {"do_resize": False},
     {"do_rescale": False, "do_normalize": False}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "normalised", "bfloat16"])
@pytest.mark.parametrize("shape", [(50, 60, 3), (3, 50, 60), (2, 3, 50, 60)])
def test_arrays_and_tensors_give_the_pixels_of_the_stock_processor(stock, options, dtype, shape):
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, shape, dtype=np.uint8)
    if dtype == "bfloat16":
        image = torch.from_numpy(image / 255).bfloat16()
    elif dtype == "normalised":
        image = ((image / 127.5) - 1).astype(np.float32)
    elif dtype != "uint8":
        image = (image / 255).astype(dtype)
    text = TEXT if len(shape) == 3 else [TEXT, TEXT]

    def pixels(processor):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                given = processor(images=image, text=text, return_tensors="pt", **options)
        except (ValueError, TypeError) as error:
            return type(error)
        return given["pixel_values"]

    expected, got = pixels(stock), pixels(zip_processor(stock, 5))
    assert type(expected) is type(got)
    assert torch.equal(expected, got) if isinstance(got, torch.Tensor) else expected is got


def test_the_number_of_tokens_is_that_of_the_zipped_model(stock):
    counted = zip_processor(stock, 5)._get_num_multimodal_tokens(image_sizes=[(200, 200)] * 2)
    assert counted.num_image_tokens == [5, 5]


def test_the_stock_way_with_images_is_one_line_away(stock):
    zipped = zip_processor(stock, 5)
    del zipped.prepare_inputs_layout
    clear = Image.new("RGBA", (50, 60), (0, 0, 0, 0))
    given = [each(images=clear, text=TEXT, return_tensors="pt") for each in (zipped, stock)]
    assert torch.equal(given[0]["pixel_values"], given[1]["pixel_values"])


@pytest.mark.parametrize(
    "inputs", [{}, {"input_ids": [[1, 4]]}, {"input_ids": torch.tensor([1, 4])}]
)
def test_what_is_no_batch_of_texts_is_not_shortened(inputs):
    with pytest.raises(ValueError, match=r"input_ids must be a tensor \[B, S\]"):
        shorten(inputs, image_token_id=4, pad_token_id=0, old=36, new=5)
