"""What a processor does differently for a zipped model: fewer placeholders, any kind of image."""

import copy
import functools
from collections.abc import MutableMapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vzlib.models.images import prepare_images


def zip_processor(processor: Any, count: int) -> Any:
    """A copy of a LLaVA processor that puts `count` placeholders for each image.

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
    zipped.replace_image_token = functools.partial(
        _checked_placeholders, text=processor.image_token * count
    )
    zipped._get_num_multimodal_tokens = functools.partial(_counted, processor, count)
    zipped.prepare_inputs_layout = functools.partial(_prepared_layout, processor)
    return zipped


def shorten(
    inputs: MutableMapping[str, Tensor],
    *,
    image_token_id: int,
    pad_token_id: int,
    old: int,
    new: int,
) -> dict[str, Tensor]:
    """Drop surplus placeholders of inputs that a stock processor made, and pad again on the left.

    inputs: input_ids [B, S]; attention_mask, labels and token types [B, S] if there are any;
        anything else is passed on. old: placeholders per image now. new: those wanted.
    Reads counts on the host, so give it CPU tensors, as processors return them.

    Raises ValueError if there are no input_ids [B, S], if the placeholders are not a multiple of
    `old`, or new > old.
    """
    ids = inputs.get("input_ids")
    if not isinstance(ids, Tensor) or ids.ndim != 2:
        kind = tuple(ids.shape) if isinstance(ids, Tensor) else type(ids).__name__
        raise ValueError(f"input_ids must be a tensor [B, S], as processors return it, not {kind}")
    real = inputs.get("attention_mask", torch.ones_like(ids)).bool()
    placeholder = (ids == image_token_id) & real
    total = int(placeholder.sum())
    if total % old or new > old:
        raise ValueError(
            f"cannot shorten {total} image placeholders from {old} to {new} per image: they must "
            f"be a multiple of {old}, and {new} at most {old}"
        )
    # Counted over the batch and not by runs, because two images may stand side by side.
    rank = (placeholder.flatten().cumsum(0) - 1).view_as(ids) % old
    keep = real & ~(placeholder & (rank >= new))
    order = keep.int().argsort(dim=1, stable=True)[:, -int(keep.sum(1).max()) :]
    kept = keep.gather(1, order)
    padding = {"input_ids": pad_token_id, "labels": -100}
    shortened = dict(inputs)
    for name, value in inputs.items():
        if isinstance(value, Tensor) and value.shape == ids.shape:
            shortened[name] = value.gather(1, order).masked_fill(~kept, padding.get(name, 0))
    shortened["attention_mask"] = kept.to(inputs.get("attention_mask", ids).dtype)
    return shortened


def _checked_placeholders(
    image_inputs: MutableMapping[str, Any], image_idx: int, *, text: str, **_: Any
) -> str:
    pixels = image_inputs["pixel_values"][image_idx]
    if not np.isfinite(np.asarray(pixels)).all():
        raise ValueError(
            f"pixel values of image {image_idx} are NaN or infinite; allowed: finite numbers"
        )
    return text


def _counted(processor: Any, count: int, image_sizes: Any = None, **options: Any) -> Any:
    counted = type(processor)._get_num_multimodal_tokens(processor, image_sizes, **options)
    if image_sizes is not None:
        counted.num_image_tokens = [count] * len(image_sizes)
    return counted


def _prepared_layout(processor: Any, images: Any = None, **inputs: Any) -> Any:
    if images is not None:
        images = prepare_images(images)
    return type(processor).prepare_inputs_layout(processor, images=images, **inputs)
