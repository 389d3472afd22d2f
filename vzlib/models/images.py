"""Images as people have them: files, PIL images and arrays, in any mode and almost any size."""

import base64
import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

MAX_SIDE = 100_000  # pixels; a file that claims more is broken or hostile
MAX_PIXELS = 150_000_000  # 0.45 GB as RGB
GREYS = 65535  # the brightest grey of 16 bits
ORIENTATION = 0x112  # in EXIF data
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
MAX_ASPECT = 16  # beyond, only the middle is used


Source = str | Path | Image.Image | np.ndarray | torch.Tensor


def open_image(source: Source) -> Image.Image:
    """An RGB image from a file, a PIL image of any mode, an array or a tensor.

    Grey and palette images are converted, transparency is laid over white, and a camera's rotation
    is applied. Greys of 16 bits are scaled by 65 535, whatever the brightest of them is; those of
    32 bits must not exceed that, and floats must lie in 0 to 1. Arrays and tensors are uint8 (0 to
    255) or float (0 to 1), [H, W], [H, W, C] or [C, H, W] with 1, 3 or 4 channels. Of an image more
    than 16 times as long as wide only the middle is used, with a warning: resized to a square
    nothing else would be recognisable, and resizing its short side would take gigabytes.

    Raises ValueError, naming the file and what is wrong, for a missing, empty or corrupt file, for
    an array of another shape, type or range (NaN included), and for an image of more than 150
    million pixels.
    """
    if isinstance(source, (str, Path)):
        return _from_file(Path(source))
    if isinstance(source, torch.Tensor):
        whole = source.float() if source.is_floating_point() else source  # numpy has no bfloat16
        source = whole.detach().cpu().numpy()
    if isinstance(source, np.ndarray):
        return _cut(_from_array(source))
    if isinstance(source, Image.Image):
        try:
            return _cut(_rgb(source, "image"))
        except (OSError, SyntaxError, EOFError, AttributeError) as error:  # cut off, or closed
            raise ValueError(f"image cannot be read: {error}") from error
    raise ValueError(
        f"an image must be a path, a PIL image, an array or a tensor, not {type(source).__name__}"
    )


def prepare_images(images: Any) -> Any:
    """`open_image` on files and PIL images, alone or in (nested) lists.

    Arrays and tensors of colour images, one by one or in batches, web addresses and images encoded
    as base64 stay as they are, for a stock processor takes them, with whatever range of values its
    options are for.
    """
    if isinstance(images, (np.ndarray, torch.Tensor)):
        if images.ndim == 4 and not _is_colour(images[0]):
            return [prepare_images(one) for one in images]
        if images.ndim != 4 and not _is_colour(images):
            return open_image(images)
        if not torch.isfinite(torch.as_tensor(images)).all():  # resizing would hide it
            raise ValueError("an image array must be finite, but it has NaN or infinite values")
        return images
    if isinstance(images, Sequence) and not isinstance(images, str):
        return [prepare_images(image) for image in images]
    if isinstance(images, str) and (
        images.startswith(("http://", "https://", "data:")) or _is_encoded(images)
    ):
        return images
    return open_image(images)


def _is_encoded(text: str) -> bool:
    """Whether it is no file, but the bytes of an image in base64."""
    if os.path.isfile(text):
        return False
    try:
        with Image.open(io.BytesIO(base64.decodebytes(text.encode()))):
            return True
    except (ValueError, OSError, Image.DecompressionBombError):
        return False


def _is_colour(image: np.ndarray | torch.Tensor) -> bool:
    """Whether it is [H, W, 3] or [3, H, W], as stock processors read it."""
    ends = (image.shape[0], image.shape[-1])
    return image.ndim == 3 and 3 in ends and 1 not in ends


def _from_file(path: Path) -> Image.Image:
    if not os.path.isfile(path):  # Path.is_file raises for names that are too long
        raise ValueError(f"no image file at {path}")
    if path.stat().st_size == 0:
        raise ValueError(f"image file {path} is empty (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # limits are our own
            with Image.open(path) as image:
                return _cut(_rgb(image, f"image file {path}"))
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is not an image of a known format") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"image file {path} is too large: {error}") from error
    except (OSError, SyntaxError, EOFError) as error:  # what PIL's decoders raise on damaged files
        raise ValueError(f"image file {path} is corrupt: {error}") from error


def _rgb(image: Image.Image, name: str) -> Image.Image:
    _check_size(*image.size, name)
    image = _upright(image)
    if image.has_transparency_data and not image.mode.startswith("I"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    if image.mode.startswith("I"):
        return _from_array(_unit(np.asarray(image, dtype=np.float64), name))
    if image.mode == "F":
        return _from_array(np.asarray(image))
    return image.convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    """As the camera held it, whatever else its EXIF data say."""
    image.load()
    turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    return image if turn is None else image.transpose(turn)


def _unit(values: np.ndarray, name: str) -> np.ndarray:
    """Greys of 16 bits to 0 ... 1; PIL would clip them at 255."""
    if values.min() < 0 or values.max() > GREYS:
        raise ValueError(
            f"{name} has greys from {values.min():g} to {values.max():g}; allowed: 0 to {GREYS}"
        )
    return values / GREYS


def _from_array(array: np.ndarray) -> Image.Image:
    shape = array.shape
    if array.ndim == 3 and shape[2] not in (1, 3, 4) and shape[0] in (1, 3, 4):
        array = array.transpose(1, 2, 0)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ValueError(
            "an image array must be [H, W], [H, W, C] or [C, H, W] with 1, 3 or 4 channels, "
            f"not {list(shape)}"
        )
    _check_size(array.shape[1], array.shape[0], "image array")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise ValueError("an image array must be finite, but it has NaN or infinite values")
        if array.min() < 0 or array.max() > 1:
            raise ValueError(
                f"a float image array must lie in 0 to 1, not {array.min():g} to {array.max():g}; "
                "use uint8 for 0 to 255"
            )
        array = (array * 255).round().astype(np.uint8)
    elif array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype != np.uint8:
        raise ValueError(f"an image array must be uint8 or float, not {array.dtype}")
    return _rgb(Image.fromarray(array), "image array")


def _check_size(width: int, height: int, name: str) -> None:
    if width < 1 or height < 1:
        raise ValueError(f"{name} is {width} x {height} pixels; allowed: at least 1 x 1")
    if width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS:
        raise ValueError(
            f"{name} is {width} x {height} pixels; allowed: {MAX_SIDE} a side and "
            f"{MAX_PIXELS} in all"
        )


def _cut(image: Image.Image) -> Image.Image:
    width, height = image.size
    if max(width, height) <= MAX_ASPECT * min(width, height):
        return image
    wide, high = min(width, MAX_ASPECT * height), min(height, MAX_ASPECT * width)
    warnings.warn(
        f"image of {width} x {height} pixels: only its middle, {wide} x {high}, is used",
        stacklevel=3,
    )
    left, top = (width - wide) // 2, (height - high) // 2
    return image.crop((left, top, left + wide, top + high))
