"""Where most attended patches lie on images whose main subject is known, in every layer.

What chance would give is told beside each number: the area of the background; the same patches on
the masks of other images, which keeps where in an image attention falls whatever it shows; and
patches as far from the edge. Tokens into which the tower gathers what it knows should be missed
more than others, so they are also replaced by the mean token, and as many others.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from vzlib import results
from vzlib.evaluation import pictures
from vzlib.experiments.feature_misalignment.attention_shares import (
    Outline,
    attention_shares,
    dominant_patches,
)
from vzlib.experiments.feature_misalignment.settings import FeatureMisalignment
from vzlib.models.checkpoint import keyed

FEW = 0.01  # of the patches: those that are attended to most of all
DRAWS = 2  # of random patches that are replaced instead
COLUMNS = [
    "images", "name", "unit", "rule", "layer", "read", "quantity", "target", "tokens", "value",
    "area", "others", "matched",
]  # fmt: skip


class Known(NamedTuple):
    """Of the patches [P] of an image: which show the subject, and which the background."""

    subject: np.ndarray
    background: np.ndarray


def measure(settings: FeatureMisalignment) -> pd.DataFrame:
    """Places of attention against the subject, for every image and layer, from the store if known.

    Columns: images, name, unit, rule ("cls" or "mean", by which received attention is counted),
    layer (from 1), read, quantity, target, tokens, value, and what chance would give: area, others
    (masks of other units), matched (patches as far from the edge; of "replaced", random ones).

    quantity "place": of the `tokens` most attended patches, percent on the target ("background",
        or "border", two patches of 24 from a side). "auc": how surely (percent) a background patch
        has more of the target ("attention", "norm") than one of the subject. "alike": cosine of
        the most attended few to their neighbours. These by every rule; the others by the first:
    quantity "attention": from the subject's patches to each target, percent, and the target's size.
        "dominant" are those off the subject. "most attended": percent of the subject's patches of
        which that patch is a dominant token, or on the subject.
    quantity "replaced": 1 - cosine by which the subject's patches change at the layer that is read
        when the most attended few become the mean token at the input of this layer's block.

    A patch shows the subject if that covers more than half of it. Images without two patches of
    both are left out. Raises ValueError for a model or images that there are not, and for images
    of which fewer than two units have a subject.
    """
    pictures.check(settings.images, with_subject=True)
    known = keyed(settings.model)
    tables = []
    for source in dict.fromkeys(settings.images):
        kind = pictures.label(source)
        point = {"images": kind, "count": settings.count, "layer": settings.layer}
        point |= {"retained": settings.retained, "seed": pictures.drawn(source, settings.seed)}
        tables.append(
            results.compute(
                "subjects",
                point,
                partial(_measure, settings.model, source),
                **known,
                data_version=pictures.version(source, with_subject=True),
                about={"model": settings.model, "questions": kind},
            )
        )
    return pd.concat(tables, ignore_index=True)


def known_patches(subject: np.ndarray, grid: int) -> Known:
    """subject: [P, P], as `vzlib.evaluation.pictures.Picture` holds it."""
    share = pictures.patch_share(subject, grid).ravel()
    return Known(share > 0.5, share <= 0.5)  # neither where it is NaN


def _measure(name: str, source: str, point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.experiments.attention import maps_by_layer
    from vzlib.models.load import loaded
    from vzlib.models.tower_parts import blocks_of, depth_of

    model, rows = loaded(name), []
    tower, cls, read = model.tower, model.has_cls, depth_of(model.tower, point["layer"])
    chosen = [
        (picture, known)
        for picture in pictures.pictures(source, point["count"], point["seed"], with_subject=True)
        if picture.subject is not None
        for known in [known_patches(picture.subject, model.grid)]
        if min(known.subject.sum(), known.background.sum()) > 1
    ]
    if len({picture.unit for picture, _ in chosen}) < 2:
        raise ValueError(f"images={point['images']}: fewer than two units show subject and ground")
    replacing = {math.ceil(2 * read / 3), read - 1} - {0}
    for number, (picture, known) in enumerate(tqdm(chosen, desc="subjects", unit="image")):
        others = [mask for other, mask in chosen if other.unit != picture.unit]
        common = (point["images"], picture.name, picture.unit)
        with _states_of(blocks_of(tower)) as states:
            for layer, heads in enumerate(maps_by_layer(tower, model.pixels([picture.image])), 1):
                attention = heads[0].mean(0)
                received = {"cls": attention[0, 1:]} if cls else {}
                received["mean"] = attention[:, int(cls) :].mean(0)
                at = (layer, layer == read)
                after = states[layer][0, int(cls) :]
                for rule, scores in received.items():
                    ranks = scores.cpu().numpy()
                    for row in _places(ranks, known, others, point["retained"], after):
                        rows.append((*common, rule, *at, *row))
                rule = next(iter(received))
                for row in _looks(attention, known, point["retained"], layer, cls):
                    rows.append((*common, rule, *at, *row))
                if layer in replacing:
                    ranks = received[rule].cpu().numpy()
                    blocks = blocks_of(tower)[layer - 1 : read]
                    change = partial(_change, blocks, states[layer - 1], states[read], known, cls)
                    row = _replaced(change, ranks, known, np.random.default_rng([number, layer]))
                    rows.append((*common, rule, *at, "replaced", "subject", *row))
    return pd.DataFrame(rows, columns=COLUMNS)


@contextmanager
def _states_of(blocks: Any) -> Iterator[dict[int, Tensor]]:
    """The tower's hidden states [1, S, D] by index: 0 is the input of the first block."""
    states: dict[int, Tensor] = {}
    hooks = [
        block.register_forward_hook(partial(_keep, states, index))
        for index, block in enumerate(blocks)
    ]
    try:
        yield states
    finally:
        for hook in hooks:
            hook.remove()


def _keep(
    states: dict[int, Tensor], index: int, module: Any, inputs: tuple[Any, ...], output: Tensor
) -> None:
    states.setdefault(index, inputs[0].detach())  # of the first pass, whatever blocks run again
    states.setdefault(index + 1, output.detach())


def _places(
    received: np.ndarray,
    known: Known,
    others: Sequence[Known],
    retained: Sequence[int],
    after: Tensor,
) -> Iterator[tuple[Any, ...]]:
    """(quantity, target, tokens, value, area, others, matched) of attention [P] by one rule.

    after: states [P, D] of the patches behind the block.
    """
    patches = len(received)
    ring = _ring(math.isqrt(patches))
    order = np.argsort(-received, kind="stable")
    few = math.ceil(FEW * patches)
    border = ring < max(1, round(2 / 24 * math.isqrt(patches)))
    for count in (few, *(count for count in retained if count < patches)):
        most = order[:count]
        yield (
            "place", "background", count, _share(known, most), 100 * _area(known),
            float(np.mean([_share(other, most) for other in others])),
            float(np.nanmean([_share(known, np.flatnonzero(ring == at)) for at in ring[most]])),
        )  # fmt: skip
        yield (
            "place",
            "border",
            count,
            100 * border[most].mean(),
            100 * border.mean(),
            *[np.nan] * 2,
        )
    scores = {"attention": received, "norm": after.float().norm(dim=-1).cpu().numpy()}
    for target, values in scores.items():
        permuted = np.mean([_auc(values, other) for other in others])
        yield "auc", target, patches, _auc(values, known), 50.0, float(permuted), np.nan
    alike = _alike(after)
    near = np.mean([alike[ring == at].mean() for at in ring[order[:few]]])
    yield "alike", "neighbours", few, alike[order[:few]].mean(), alike.mean(), np.nan, near


def _share(known: Known, patches: np.ndarray) -> float:
    """Percent of these patches, as far as known, that lie on the background; NaN if none is."""
    ground, subject = known.background[patches].sum(), known.subject[patches].sum()
    return 100 * float(ground / (ground + subject)) if ground + subject else float("nan")


def _area(known: Known) -> float:
    return float(known.background.sum() / (known.background.sum() + known.subject.sum()))


def _ring(side: int) -> np.ndarray:
    """Patches between each patch [P] and the nearest edge of the image."""
    line = np.minimum(np.arange(side), np.arange(side)[::-1])
    return np.minimum(line[:, None], line[None]).ravel()


def _auc(values: np.ndarray, known: Known) -> float:
    """How surely a background patch has the larger value of the two, in percent."""
    ground, subject = np.sort(values[known.background]), np.sort(values[known.subject])
    below = np.searchsorted(subject, ground, "left") + np.searchsorted(subject, ground, "right")
    return 100 * float(below.mean() / 2 / len(subject))


def _alike(states: Tensor) -> np.ndarray:
    """Mean cosine [P] of each patch to those beside, above and below it."""
    side = math.isqrt(len(states))
    cells = torch.nn.functional.normalize(states.float(), dim=-1).unflatten(0, (side, side))
    sums, counts = (torch.zeros(side, side, device=states.device) for _ in range(2))
    for axis in (0, 1):
        here, there = cells.narrow(axis, 0, side - 1), cells.narrow(axis, 1, side - 1)
        cosine = (here * there).sum(-1)
        for start in (0, 1):
            sums.narrow(axis, start, side - 1).add_(cosine)
            counts.narrow(axis, start, side - 1).add_(1)
    return (sums / counts).flatten().cpu().numpy()


def _looks(
    attention: Tensor, known: Known, retained: Sequence[int], layer: int, cls: bool
) -> Iterator[tuple[Any, ...]]:
    """(quantity, target, tokens, value, area, others, matched) of where the subject looks."""
    side = math.isqrt(len(known.subject))
    patches = known.subject.reshape(side, side)
    outline = Outline("subject", patches, patches)
    nulls = (np.nan, np.nan)
    for _, _, target, _, kept, _, share, size in attention_shares(
        attention, [outline], tuple(retained), layer, cls
    ):
        if target != "other objects":
            yield "attention", target, kept, share, size, *nulls
    own = attention[int(cls) :, int(cls) :].clone().fill_diagonal_(0)
    most = own.argmax(1).cpu().numpy()[known.subject]
    kept = min(retained)
    for target, mask in (
        ("dominant", dominant_patches(attention, kept, cls)),
        ("own object", known.subject),
    ):
        yield "most attended", target, kept, 100 * mask[most].mean(), 100 * mask.mean(), *nulls


def _replaced(
    change: Any, received: np.ndarray, known: Known, random: np.random.Generator
) -> tuple[Any, ...]:
    """(tokens, value, area, others, matched): what it changes to replace the most attended few.

    matched: the same for as many others, as many of them on subject and background.
    """
    few = math.ceil(FEW * len(received))
    most = np.argsort(-received, kind="stable")[:few]
    rest = np.setdiff1d(np.arange(len(received)), most)
    sets = [most]
    for _ in range(DRAWS):
        parts = []
        for mask in (known.subject, ~known.subject):
            free = rest[mask[rest]]
            parts.append(random.permutation(free)[: mask[most].sum()])
        sets.append(np.concatenate(parts))
    own, *drawn = change(sets)
    return few, own, np.nan, np.nan, float(np.mean(drawn))


@torch.no_grad()
def _change(
    blocks: Any, before: Tensor, after: Tensor, known: Known, cls: bool, sets: list[np.ndarray]
) -> list[float]:
    """Mean of 1 - cosine over the subject's patches, in no set, for each set that is replaced.

    before, after: states [1, S, D] at the input of the first block and behind the last.
    """
    hidden = before.repeat(len(sets), 1, 1)
    mean = before[0, int(cls) :].mean(0)
    for row, patches in zip(hidden, sets, strict=True):
        row[torch.as_tensor(patches, device=row.device) + int(cls)] = mean
    for block in blocks:
        hidden = block(hidden, None)
    seen = known.subject.copy()
    seen[np.concatenate(sets)] = False
    if not seen.any():
        return [float("nan")] * len(sets)
    place = torch.as_tensor(np.flatnonzero(seen), device=hidden.device) + int(cls)
    cosine = torch.cosine_similarity(hidden[:, place].float(), after[:, place].float(), dim=-1)
    return [float(value) for value in (1 - cosine).mean(1).cpu()]
