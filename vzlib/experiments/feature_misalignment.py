"""Where the attention of a token on an object goes (Section 4.2, Figures 6b and 14).

Scenes know the patches of every object, so the question has a number for an answer. Shares of
attention are compared with the share of the tokens (attention spread evenly), and objects with
blanks: the same outline moved to where nothing was drawn, which shows what mere nearness does.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from vzlib import scenes
from vzlib.experiments.attention_maps import maps_by_layer, pixels_of, scene_patch
from vzlib.experiments.intervals import Interval, ratio
from vzlib.experiments.settings import FeatureMisalignment
from vzlib.models.load import load
from vzlib.models.towers import depth_of, has_cls
from vzlib.tokens import Budget, select_dominant

BLANK = "blank"  # the kind of an outline without an object
TARGETS = ("itself", "own object", "other objects", "background", "dominant", "CLS")
BORDER = 2 / 24  # of a side of the image; what counts as periphery


class Outline(NamedTuple):
    """Patches [G, G] of one thing, and the well covered ones of them, which ask."""

    kind: str
    patches: np.ndarray
    queries: np.ndarray


def measure(settings: FeatureMisalignment) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Shares of attention, places of dominant tokens and distances on test scenes.

    Columns of the rows: quantity, kind (of the object asked from: shape, number, word, digit; all
    of them: "object"; or "blank"), target, layer (1 is the first block), retained, n (query tokens
    or dominant tokens), scenes, share and expected (percent, or patches for distances), value =
    share / expected with its 95 % interval low, high over scenes.

    quantity "attention": attention from the tokens on a thing to each of TARGETS, in every block;
        expected is the target's share of all tokens. Own object is without the asking token;
        dominant are the tokens that block would keep at the smallest `retained`, without those of
        the own object; these may also be background or other objects. Target "dominant/own": the
        first ratio over the second, paired by scene.
    quantity "place": dominant tokens on the background and in the periphery (two patches of 24 from
        a side), against the share of the image, for each of `retained`.
    quantity "distance": patches from a token to the patch it attends to most, against the mean
        distance to all patches. "peak": share of them (percent) that lie on the own object.

    The second table holds the same per scene. Raises ValueError for a layer without attention.
    """
    loaded = load(settings.model)
    tower = loaded.model.model.vision_tower
    depth = depth_of(tower, settings.layer)
    found: list[tuple[Any, ...]] = []
    for index in tqdm(range(settings.scenes), desc="scenes"):
        scene = scenes.make(index)
        outlines = list(_outlines(scene, scene_patch(tower, scene.image.shape[0])))
        for layer, heads in enumerate(maps_by_layer(tower, pixels_of(loaded, scene.image)), 1):
            attention = heads[0].mean(0)
            for row in _attention(attention, outlines, settings.retained, layer, has_cls(tower)):
                found.append((index, *row))
            if layer == depth:
                for row in _places(attention, outlines, settings.retained, layer, has_cls(tower)):
                    found.append((index, *row))
                for row in _distances(attention, outlines, layer, has_cls(tower)):
                    found.append((index, *row))
    columns = [
        "scene", "quantity", "kind", "target", "layer", "retained", "n", "share", "expected",
    ]  # fmt: skip
    each = pd.DataFrame(found, columns=columns)
    return _summary(each), each


def _outlines(scene: scenes.Scene, patch: int) -> Iterator[Outline]:
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


def _dominant(attention: Tensor, retained: int, cls: bool) -> np.ndarray:
    """Which patches [P] a budget keeps as dominant by this block's map [S, S]."""
    scores = attention[0] if cls else attention.mean(0)
    budget = Budget.retain(retained, has_cls=cls)
    kept = select_dominant(scores[None], budget.dominant, cls=cls)[0]
    chosen = torch.zeros(len(scores), dtype=torch.bool)
    chosen[kept.cpu()] = True
    return chosen[int(cls) :].numpy()


def _attention(
    attention: Tensor, outlines: list[Outline], retained: tuple[int, ...], layer: int, cls: bool
) -> Iterator[tuple[Any, ...]]:
    budget = min(retained)
    dominant = _dominant(attention, budget, cls)
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


def _places(
    attention: Tensor, outlines: list[Outline], retained: tuple[int, ...], layer: int, cls: bool
) -> Iterator[tuple[Any, ...]]:
    things = [outline.patches for outline in outlines if outline.kind != BLANK]
    covered = np.any(things, axis=0)
    margin = max(1, round(BORDER * len(covered)))
    border = np.ones_like(covered)
    border[margin:-margin, margin:-margin] = False
    for budget in retained:
        dominant = _dominant(attention, budget, cls)
        for target, mask in (("background", ~covered), ("periphery", border)):
            share = mask.ravel()[dominant].mean()
            yield (
                "place", "object", target, layer, budget, int(dominant.sum()),
                100 * float(share), 100 * float(mask.mean()),
            )  # fmt: skip


def _distances(
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


def _summary(each: pd.DataFrame) -> pd.DataFrame:
    """Ratios of scene means with intervals over scenes; things of one kind in a scene count by n."""
    objects = each[each["kind"] != BLANK].assign(kind="object")
    both = pd.concat([each[each["quantity"] != "place"], objects], ignore_index=True)
    for column in ("share", "expected"):
        both[column] *= both["n"]
    keys = ["quantity", "kind", "target", "layer", "retained"]
    scene = both.groupby([*keys, "scene"], sort=False)[["n", "share", "expected"]].sum()
    scene = scene.reset_index()
    rows = []
    for key, group in scene.groupby(keys, sort=False):
        n = int(group["n"].sum())
        share, expected = (group[column].to_numpy() for column in ("share", "expected"))
        interval = ratio(share, expected)
        rows.append((*key, n, len(group), share.sum() / n, expected.sum() / n, *interval))
    rows += list(_dominant_over_own(scene))
    columns = [*keys, "n", "scenes", "share", "expected", *Interval._fields]
    return pd.DataFrame(rows, columns=columns)


def _dominant_over_own(scene: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Attention per dominant token over attention per token of the own object, by kind and block."""
    wanted = scene[scene["quantity"] == "attention"]
    for key, group in wanted.groupby(["kind", "layer", "retained"], sort=False):
        by_target = {
            name: rows.set_index("scene") for name, rows in group.groupby("target", sort=False)
        }
        dominant, own = by_target["dominant"], by_target["own object"]
        size = [part["expected"].sum() for part in (dominant, own)]
        if size[1] == 0:
            continue
        first, second = (
            part["share"].to_numpy() / total
            for part, total in zip((dominant, own), size, strict=True)
        )
        kind, layer, retained = key
        yield (
            "attention", kind, "dominant/own", layer, retained, int(own["n"].sum()), len(own),
            np.nan, np.nan, *ratio(first, second),
        )  # fmt: skip


def verdicts(rows: pd.DataFrame, layer: int) -> pd.DataFrame:
    """The two claims decided by the intervals: claim, quantity, measured, verdict.

    rows: from `measure`. layer: the block that is read (1 is the first).
    """
    chosen = rows[(rows["layer"] == layer) & (rows["kind"] == "object")]
    smallest = chosen.loc[chosen["quantity"] == "place", "retained"].min()
    found = []
    for claim, quantity, target, what in (
        ("C08", "attention", "dominant/own", "attention per dominant token / per token of the own object"),
        ("C09", "place", "background", f"share of dominant tokens on background / by chance, {smallest} retained"),
        ("C09", "place", "periphery", f"share of dominant tokens near the border / by chance, {smallest} retained"),
    ):  # fmt: skip
        own = chosen[
            (chosen["quantity"] == quantity)
            & (chosen["target"] == target)
            & (chosen["retained"] == smallest)
        ]
        interval = Interval(*own[list(Interval._fields)].iloc[0])
        measured = f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"
        found.append((claim, what, measured, _decide(interval)))
    return pd.DataFrame(found, columns=["claim", "quantity", "measured", "verdict"])


def _decide(interval: Interval) -> str:
    if interval.low > 1:
        return "found"
    return "the opposite" if interval.high < 1 else "no effect"
