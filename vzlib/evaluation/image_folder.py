"""A folder of images, with masks of their main subject beside them if there are.

Images: every file whose name ends in one of SUFFIXES; folders within and hidden files are left
alone. Masks: the mask of `cat.jpg` is `cat.png`, or `cat.mask.png`, which is also that of `cat.png`
itself. Either all images have one, or none.

A mask is a PNG of one channel (grey, palette, or black and white) and of the size of its image, as
the camera held it. 0 is background, any other value the subject; but 255 is a border that is
neither, if a mask of the folder holds a value besides 0 and 255. Those of Pascal VOC fit as they
are.
"""

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from vzlib.evaluation.question_file import image_problems

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
MASK = ".mask.png"
BORDER = 255
ONE_CHANNEL = ("1", "L", "P", "I", "I;16")  # modes of PIL
ORIENTATION = 0x112  # in EXIF data; from 5 on width and height change places


class Listed(NamedTuple):
    """What lies in a folder.

    images: files by name, in alphabetical order. masks: by name of their image. stray: names of
    masks without an image.
    """

    images: dict[str, Path]
    masks: dict[str, Path]
    stray: list[str]


def listed(folder: Path) -> Listed:
    """The images and masks of a folder that there is."""
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    photographs = {path.stem for path in found if path.suffix.lower() != ".png"}
    masks, images = {}, []
    for path in found:
        if path.name.lower().endswith(MASK):
            masks[path.name[: -len(MASK)]] = path
        elif path.suffix.lower() == ".png" and path.stem in photographs:
            masks.setdefault(path.stem, path)
        else:
            images.append(path)
    stems = {path.stem for path in images}
    return Listed(
        {path.name: path for path in images},
        {path.name: masks[path.stem] for path in images if path.stem in masks},
        [path.name for stem, path in masks.items() if stem not in stems],
    )


def problems(source: str, kinds: Collection[str], with_subject: bool) -> list[str]:
    """All that is wrong with a folder, in words; of images the beginning is read.

    kinds: what else a source could be called. with_subject: every image needs a mask.
    """
    folder = Path(source)
    if not folder.is_dir():
        return [f"{source!r} is neither {', '.join(kinds)} nor a folder"]
    found = listed(folder)
    if not found.images:
        return [f"folder {folder} holds no image ({', '.join(SUFFIXES)})"]
    wrong = list(image_problems({path: folder.name for path in found.images.values()}))
    wrong += [f"{folder.name}: {name} is the mask of no image" for name in found.stray]
    without = [name for name in found.images if name not in found.masks]
    if without and (found.masks or with_subject):
        more = f" and {len(without) - 3} more" if len(without) > 3 else ""
        wrong.append(
            f"{folder.name}: {len(without)} of {len(found.images)} images have no mask beside "
            f"them: {', '.join(without[:3])}{more}; the mask of cat.jpg is cat.png or cat{MASK}"
        )
    if wrong:
        return wrong
    return [problem for name in found.masks for problem in _mask_problems(found, name)]


def _mask_problems(found: Listed, name: str) -> Iterator[str]:
    mask = found.masks[name]
    yield from (own for own in image_problems({mask: f"the mask of {name}"}))
    with Image.open(found.images[name]) as image:
        size = image.size[::-1] if image.getexif().get(ORIENTATION, 1) >= 5 else image.size
    try:
        with Image.open(mask) as opened:
            mode, own = opened.mode, opened.size
    except OSError:
        return  # told already
    if mode not in ONE_CHANNEL:
        yield f"{mask.name} is of mode {mode}; a mask has one channel"
    if own != size:
        yield (
            f"{mask.name} is {own[0]} x {own[1]} pixels, but {name} {size[0]} x {size[1]}; "
            "a mask is of the size of its image"
        )


def read(found: Listed, border: bool, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """An image uint8 [H, W, 3], and where its subject is, float32 [H, W]: 1, 0, or NaN at a border.

    border: whether 255 is one in this folder. Raises ValueError for an image that is damaged.
    """
    from vzlib.models.images import open_image

    image = np.asarray(open_image(found.images[name]))
    if name not in found.masks:
        return image, None
    values = _values(found.masks[name])
    height, width = image.shape[:2]  # of a very long image `open_image` takes the middle only
    top, left = (values.shape[0] - height) // 2, (values.shape[1] - width) // 2
    values = values[top : top + height, left : left + width]
    subject = (values != 0).astype(np.float32)
    if border and values.dtype != bool:
        subject[values == BORDER] = np.nan
    return image, subject


def has_border(found: Listed) -> bool:
    """Whether a mask holds a value besides 0 and 255; one in black and white tells nothing."""
    masks = (_values(mask) for mask in found.masks.values())
    return any(own.dtype != bool and not np.isin(own, (0, BORDER)).all() for own in masks)


def _values(mask: Path) -> np.ndarray:
    with Image.open(mask) as opened:
        return np.asarray(opened)


def digest(folder: Path, with_masks: bool) -> str:
    """Of the names and bytes of all images, and of the masks if they matter."""
    found, whole = listed(folder), hashlib.blake2b(digest_size=8)
    for path in (*found.images.values(), *(found.masks.values() if with_masks else ())):
        whole.update(path.name.encode() + hashlib.blake2b(path.read_bytes()).digest())
    return whole.hexdigest()
