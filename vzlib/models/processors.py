"""What a processor does differently for a zipped model: fewer placeholders, any kind of image."""

import copy
import functools
import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vzlib.models.images import prepare_images

# Of the images that a processor prepared: placeholders for each of an image's views, or None for an
# image that is left as it is.
Counts = Callable[[Mapping[str, Any]], list[tuple[int, ...] | None]]


def zip_processor(
    processor: Any, count: int | Counts, clips: Counts | None = None, told: str | None = None
) -> Any:
    """A copy of a processor that puts `count` placeholders for each image.

    count: a number for every image, or a function that tells them of what was prepared; it goes
    where the processor goes. Separators that a stock processor puts between views stay. clips: the
    same of videos; without it they are refused. told: under what the model is told how many tiles
    each image has, if it is.

    It also prepares files and PIL images with `prepare_images`: a camera's rotation is applied and
    transparency laid over white, which the stock processor does not do (after
    `del processor.prepare_inputs_layout` it leaves them as they are). Arrays and tensors give the
    stock pixels. Pixel values that are NaN or infinite are refused here, on the CPU, where looking
    costs no wait for a device. Tokenizer and image processor are shared with the original; it can
    be pickled, deep-copied and saved.

    Raises ValueError for a processor without image placeholders.
    """
    if not (hasattr(processor, "replace_image_token") and hasattr(processor, "image_token")):
        raise ValueError(
            f"{type(processor).__name__} puts no image placeholders into texts; give the model's "
            "processor, such as AutoProcessor.from_pretrained makes it"
        )
    zipped = copy.copy(processor)
    # Partials of functions of this module, not closures: they survive pickle and deepcopy.
    zipped.replace_image_token = functools.partial(_checked_placeholders, processor, count, told)
    if clips is not None and hasattr(processor, "replace_video_token"):
        zipped.replace_video_token = functools.partial(_of_clip, processor, clips)
    zipped._get_num_multimodal_tokens = functools.partial(_counted, processor, count)
    zipped.prepare_inputs_layout = functools.partial(_prepared_layout, processor, clips is not None)
    return zipped


def shorten(
    inputs: MutableMapping[str, Tensor],
    *,
    image_token_id: int,
    pad_token_id: int,
    old: Sequence[int],
    new: Sequence[int],
) -> dict[str, Tensor]:
    """Drop surplus placeholders of inputs that a stock processor made, and pad again on the left.

    inputs: input_ids [B, S]; attention_mask, labels and token types [B, S] if there are any;
        anything else is passed on. old: placeholders of each image now. new: those wanted.
    Reads counts on the host, so give it CPU tensors, as processors return them.

    Raises ValueError if there are no input_ids [B, S], if the placeholders are not those of the
    images, or more are wanted.
    """
    ids = inputs.get("input_ids")
    if not isinstance(ids, Tensor) or ids.ndim != 2:
        kind = tuple(ids.shape) if isinstance(ids, Tensor) else type(ids).__name__
        raise ValueError(f"input_ids must be a tensor [B, S], as processors return it, not {kind}")
    real = inputs.get("attention_mask", torch.ones_like(ids)).bool()
    placeholder = (ids == image_token_id) & real
    total = int(placeholder.sum())
    if total != sum(old) or any(after > before for before, after in zip(old, new, strict=True)):
        raise ValueError(
            f"cannot shorten {total} image placeholders from {_said(old)} to {_said(new)} per "
            f"image: there must be {sum(old)} of them, and no more wanted than there are"
        )
    # Counted over the batch and not by runs, because two images may stand side by side.
    stays = torch.tensor([place < after for before, after in zip(old, new, strict=True)
                          for place in range(before)], dtype=torch.bool)  # fmt: skip
    keep = real.masked_scatter(placeholder, stays.to(ids.device))
    order = keep.int().argsort(dim=1, stable=True)[:, -int(keep.sum(1).max()) :]
    kept = keep.gather(1, order)
    padding = {"input_ids": pad_token_id, "labels": -100}
    shortened = dict(inputs)
    for name, value in inputs.items():
        if isinstance(value, Tensor) and value.shape == ids.shape:
            shortened[name] = value.gather(1, order).masked_fill(~kept, padding.get(name, 0))
    shortened["attention_mask"] = kept.to(inputs.get("attention_mask", ids).dtype)
    return shortened


def tiles_of_each(image_inputs: Mapping[str, Any]) -> list[int] | None:
    """Tiles of each image that a processor prepared, where it counts them."""
    if (rows := image_inputs.get("rows")) is None:  # of SmolVLM, of a list for each prompt
        counts: list[int] | None = image_inputs.get("num_patches")  # of InternVL
        return counts
    pairs = zip(chain(*rows), chain(*image_inputs["cols"]), strict=True)
    return [high * wide + 1 for high, wide in pairs]  # 0 x 0 where only the whole is shown


def _said(counts: Sequence[int]) -> str:
    return " or ".join(map(str, sorted(set(counts)))) or "none"


def _checked_placeholders(
    processor: Any,
    count: int | Counts,
    told: str | None,
    image_inputs: MutableMapping[str, Any],
    image_idx: int,
    **options: Any,
) -> str:
    pixels, token = image_inputs.get("pixel_values"), processor.image_token
    if pixels is None:
        pixels = image_inputs["pixel_values_images"]  # of Video-LLaVA
    tiles = tiles_of_each(image_inputs)
    if told is not None:  # which stock processors do not
        image_inputs[told] = tiles
    packed = tiles is not None or image_inputs.get("image_grid_thw") is not None
    if not np.isfinite(np.asarray(pixels if packed else pixels[image_idx])).all():
        which = "of an image" if packed else f"of image {image_idx}"
        raise ValueError(f"pixel values {which} are NaN or infinite; allowed: finite numbers")
    if isinstance(count, int):
        return str(token * count)
    stock: str = type(processor).replace_image_token(
        processor, image_inputs, image_idx=image_idx, **options
    )
    return _fewer(stock, token, count(image_inputs)[image_idx])


def _of_clip(
    processor: Any, clips: Counts, video_inputs: MutableMapping[str, Any], video_idx: int, **_: Any
) -> str:
    stock = type(processor).replace_video_token(processor, video_inputs, video_idx)
    return _fewer(stock, processor.video_token, clips(video_inputs)[video_idx])


def _fewer(stock: str, token: str, counts: tuple[int, ...] | None) -> str:
    """What a stock processor puts for an image or clip, with so many placeholders for each view."""
    if counts is None:
        return stock
    parts = re.split(f"((?:{re.escape(token)})+)", stock)  # every second one is placeholders
    if len(parts) == 3:
        counts = (sum(counts),)
    parts[1::2] = [token * each for each in counts]
    return "".join(parts)


def _counted(processor: Any, count: int | Counts, image_sizes: Any = None, **options: Any) -> Any:
    counted = type(processor)._get_num_multimodal_tokens(processor, image_sizes, **options)
    if image_sizes is not None and isinstance(count, int):
        counted.num_image_tokens = [count] * len(image_sizes)
    if image_sizes is not None and not isinstance(count, int):
        each = zip(counted.num_image_tokens, count({"image_sizes": image_sizes}), strict=True)
        counted.num_image_tokens = [
            stock if counts is None else sum(counts) for stock, counts in each
        ]
    return counted


def _prepared_layout(processor: Any, takes_videos: bool, images: Any = None, **inputs: Any) -> Any:
    if inputs.get("videos") is not None and not takes_videos:
        raise ValueError(
            f"videos given to the {type(processor).__name__} of a zipped model that is shown "
            "images alone; allowed: images"
        )
    if images is not None:
        images = prepare_images(images)
    return type(processor).prepare_inputs_layout(processor, images=images, **inputs)
