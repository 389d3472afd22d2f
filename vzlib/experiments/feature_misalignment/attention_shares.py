"""Where the tokens of one scene attend to: shares by region, places of the dominant, distances.

Each function takes one block's map [S, S] (queries, keys; mean over heads) and yields
(quantity, kind, target, layer, retained, n, share, expected) as `feature_misalignment` explains.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vzlib import scenes
from vzlib.tokens import Budget, select_dominant

BLANK = "blank"  # the kind of an outline without an object
BORDER = 2 / 24  # of a side of the image; what counts as periphery


class Outline(NamedTuple):
    """Patches [G, G] of one thing, and the well covered ones of them, which ask."""

    kind: str
    patches: np.ndarray
    queries: np.ndarray


def outlines_of(scene: scenes.Scene, patch: int) -> Iterator[Outline]:
    """The objects of a scene, then the same outlines where nothing was drawn."""
    covered = scene.patches(patch)
    random = np.random.default_rng(scene.index)
    blanks = []
    for number, thing in enumerate(scene.objects):
        patches = scene.object_patches(number, patch)
        queries = scene.object_patches(number, patch, share=0.5)
        if not queries.any():
            continue
        yield Outline(thing.kind, patches, queries)
        for _ in range(50):
            shift = random.integers(0, covered.shape[0], size=2)
            moved, asking = (_moved(mask, patches, shift) for mask in (patches, queries))
            if moved is not None and asking is not None and not (moved & covered).any():
                blanks.append(Outline(BLANK, moved, asking))
                break
    yield from blanks


def _moved(mask: np.ndarray, outline: np.ndarray, to: np.ndarray) -> np.ndarray | None:
    """`mask` [G, G] moved so that the outline's upper left corner comes to `to`, if it fits."""
    corner = np.argwhere(outline).min(0)
    cells = np.argwhere(mask) - corner + to
    if (np.argwhere(outline).max(0) - corner + to >= mask.shape).any():
        return None
    moved = np.zeros_like(mask)
    moved[tuple(cells.T)] = True
    return moved


def dominant_patches(attention: Tensor, retained: int, cls: bool) -> np.ndarray:
    """Which patches [P] a budget keeps as dominant by this block's map [S, S]."""
    scores = attention[0] if cls else attention.mean(0)
    budget = Budget.retain(retained, has_cls=cls)
    kept = select_dominant(scores[None], budget.dominant, cls=cls)[0]
    chosen = torch.zeros(len(scores), dtype=torch.bool)
    chosen[kept.cpu()] = True
    return chosen[int(cls) :].numpy()


def attention_shares(
    attention: Tensor, outlines: list[Outline], retained: tuple[int, ...], layer: int, cls: bool
) -> Iterator[tuple[Any, ...]]:
    budget = min(retained)
    dominant = dominant_patches(attention, budget, cls)
    things = [outline.patches.ravel() for outline in outlines if outline.kind != BLANK]
    covered = np.any(things, axis=0)
    tokens = len(attention)
    table = attention.cpu().numpy()
    for outline in outlines:
        own, asking = outline.patches.ravel(), np.flatnonzero(outline.queries)
        rows = table[asking + int(cls)]
        to_patches = rows[:, int(cls) :].mean(0)
        itself = rows[np.arange(len(asking)), asking + int(cls)].mean()
        regions = {
            "other objects": covered & ~own,
            "background": ~covered & ~own,
            "dominant": dominant & ~own,
        }
        share = {
            "itself": (itself, 1),
            "own object": (to_patches[own].sum() - itself, own.sum() - 1),
            **{name: (to_patches[mask].sum(), mask.sum()) for name, mask in regions.items()},
        }
        if cls:
            share["CLS"] = (rows[:, 0].mean(), 1)
        for target, (value, size) in share.items():
            yield (
                "attention", outline.kind, target, layer, budget, len(asking),
                100 * float(value), 100 * float(size) / tokens,
            )  # fmt: skip


def places(
    attention: Tensor, outlines: list[Outline], retained: tuple[int, ...], layer: int, cls: bool
) -> Iterator[tuple[Any, ...]]:
    things = [outline.patches for outline in outlines if outline.kind != BLANK]
    covered = np.any(things, axis=0)
    margin = max(1, round(BORDER * len(covered)))
    border = np.ones_like(covered)
    border[margin:-margin, margin:-margin] = False
    for budget in retained:
        dominant = dominant_patches(attention, budget, cls)
        for target, mask in (("background", ~covered), ("periphery", border)):
            share = mask.ravel()[dominant].mean()
            yield (
                "place", "object", target, layer, budget, int(dominant.sum()),
                100 * float(share), 100 * float(mask.mean()),
            )  # fmt: skip


def distances(
    attention: Tensor, outlines: list[Outline], layer: int, cls: bool
) -> Iterator[tuple[Any, ...]]:
    patches = attention[int(cls) :, int(cls) :].cpu().clone()
    patches.fill_diagonal_(0)
    most = patches.argmax(1).numpy()
    side = outlines[0].patches.shape[0]
    places = np.stack(np.divmod(np.arange(side * side), side), axis=1)
    for outline in outlines:
        asking = np.flatnonzero(outline.queries)
        apart = np.linalg.norm(places[asking, None] - places[None], axis=2)
        reached = np.linalg.norm(places[asking] - places[most[asking]], axis=1)
        own = outline.patches.ravel()
        chance = (own.sum() - 1) / (own.size - 1)
        common = (layer, 0, len(asking))
        yield "distance", outline.kind, "most attended", *common, reached.mean(), apart.mean()
        hit = 100 * own[most[asking]].mean()
        yield "peak", outline.kind, "own object", *common, float(hit), 100 * float(chance)
