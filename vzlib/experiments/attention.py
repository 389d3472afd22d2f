"""A model's vision tower, loaded when first needed, and what it does with pictures."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from vzlib.models.load import Loaded, load
from vzlib.models.tower_parts import depth_of, has_cls, token_count
from vzlib.models.towers import encode, received_by_layer
from vzlib.scenes.pictures import Picture

BATCH = 8


@lru_cache(maxsize=1)
def loaded_model(name: str) -> Loaded:
    """A model and its processor, loaded once for all that is measured on it."""
    return load(name)


def read_layer(
    name: str, pictures: Sequence[Picture], layer: int, what: str
) -> Iterator[tuple[Picture, str, Tensor]]:
    """Attention [S] that the tokens of each picture receive in one layer, by each rule.

    The rules are "cls", attention from the CLS token, where there is one, and "mean", the mean over
    all queries. layer: index into the tower's hidden_states. what: named by the progress bar.
    """
    tower = _tower(name)
    for batch, pixels in _pixels(name, pictures, what):
        for rule, cls in _rules(tower).items():
            scores = encode(tower, pixels, layer=layer, cls=cls).scores.cpu()
            yield from ((picture, rule, row) for picture, row in zip(batch, scores, strict=True))


def every_layer(
    name: str, pictures: Sequence[Picture], what: str
) -> Iterator[tuple[Picture, str, Tensor, int]]:
    """Attention [L, P] on the patches of each picture in every layer, by each rule, and the number
    of the layer, from 1, that the language model reads.

    Raises ValueError for a model that reads several layers.
    """
    tower = _tower(name)
    read = depth_of(tower, loaded_model(name).model.config.vision_feature_layer)
    for batch, pixels in _pixels(name, pictures, what):
        for rule, cls in _rules(tower).items():
            received = received_by_layer(tower, pixels, cls=cls)[..., int(has_cls(tower)) :].cpu()
            yield from (
                (picture, rule, layers, read)
                for picture, layers in zip(batch, received, strict=True)
            )


def with_cls(name: str) -> bool:
    """Whether the first token of a model's tower is a CLS token."""
    return has_cls(_tower(name))


def patch_count(name: str) -> int:
    """Patches that a model's tower cuts an image into."""
    return token_count(_tower(name)) - has_cls(_tower(name))


def _tower(name: str) -> Any:
    return loaded_model(name).model.model.vision_tower


def _rules(tower: Any) -> dict[str, bool]:
    return {"cls": True, "mean": False} if has_cls(tower) else {"mean": False}


def _pixels(
    name: str, pictures: Sequence[Picture], what: str
) -> Iterator[tuple[Sequence[Picture], Tensor]]:
    """Pictures and their pixels [B, 3, H, W], batch after batch, with a progress bar."""
    model, processor = loaded_model(name).model, loaded_model(name).processor
    quick = len(pictures) <= BATCH
    bar = tqdm(total=len(pictures), desc=what, unit="image", disable=quick)
    with bar, torch.no_grad():
        for start in range(0, len(pictures), BATCH):
            batch = pictures[start : start + BATCH]
            images = [np.ascontiguousarray(picture.image) for picture in batch]
            prepared = processor.image_processor(images=images, return_tensors="pt")
            yield batch, prepared["pixel_values"].to(model.device, model.dtype)
            bar.update(len(batch))
