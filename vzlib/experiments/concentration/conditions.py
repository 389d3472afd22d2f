"""The conditions under which a tower is looked at, by name."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vzlib.experiments.attention import read_layer
from vzlib.experiments.concentration import interventions
from vzlib.experiments.concentration.names import (
    ABLATIONS,
    ADDED,
    CONTROL,
    LOGITS,
    SHIFTED,
    STOCK,
)
from vzlib.models.load import Loaded
from vzlib.models.tower_parts import depth_of


class Watched(NamedTuple):
    """Of a batch of images the patches [B, m] most attended in the stock tower, and random ones."""

    most: Tensor
    random: Tensor


def whole(model: Loaded, point: dict[str, Any], chosen: Any) -> dict[str, Any]:
    """Conditions that are the same for every image, as functions that give context managers.

    point: settings by name. chosen: the neurons of `register_neurons`; None without registers.
    """
    tower = model.tower
    found: dict[str, Callable[[], AbstractContextManager[Any]]] = {STOCK: nullcontext}
    for factor in point["temperatures"]:
        found[LOGITS.format(factor)] = partial(interventions.scaled_logits, tower, factor)
    if chosen is not None:
        count = point["registers"]
        found[ADDED] = partial(interventions.registers, tower, count)
        for name, neurons in zip((SHIFTED, CONTROL), chosen, strict=True):
            found[name] = partial(interventions.registers, tower, count, neurons)
    return found


def of_images(model: Loaded, watched: Watched) -> dict[str, Any]:
    """Conditions that depend on what is seen in the stock tower."""
    tower, middle = model.tower, depth_of(model.tower, model.layer) // 2
    made = []
    for patches in watched:
        made.append(partial(interventions.without_content, tower, patches))
    for patches in watched:
        made.append(partial(interventions.averaged_before, tower, middle, patches))
    return dict(zip(ABLATIONS, made, strict=True))


def watch(model: Loaded, pictures: Sequence[Any], count: int, seed: int) -> Watched:
    """The `count` patches of each picture that the stock tower attends to most, and random ones."""
    first, rows = int(model.has_cls), []
    rule = "cls" if model.has_cls else "mean"
    for _, name, received in read_layer(model, pictures, model.layer, ""):
        if name == rule:
            rows.append(received[first:])
    scores = torch.stack(rows)
    draw = torch.rand(scores.shape, generator=torch.Generator().manual_seed(seed))
    most, random = (
        one.argsort(dim=1, descending=True, stable=True)[:, :count] for one in (scores, draw)
    )
    return Watched(most, random)


def register_neurons(
    model: Loaded, batches: Sequence[Sequence[Any]], count: int, patches: int, seed: int
) -> Any:
    """(neurons that are more active on the most attended patches than elsewhere, random ones).

    Neurons of the MLPs before the block that rates; None for a tower that cannot have registers.
    patches: how many count as most attended.
    """
    tower, depth = model.tower, depth_of(model.tower, model.layer) - 1
    if not interventions.can_have_registers(tower):
        return None
    totals: list[Tensor] = []
    for batch in batches:
        most = watch(model, batch, patches, seed).most
        with interventions.overheard_neurons(tower, depth) as heard, torch.no_grad():
            tower(pixel_values=model.pixels([one.image for one in batch]))
            found = []
            for index in range(depth):
                active = heard[index][:, 1:]
                where = most.to(active.device).unsqueeze(-1).expand(-1, -1, active.shape[-1])
                found.append((active.gather(1, where).mean(1) - active.mean(1)).sum(0).cpu())
        totals = [a + b for a, b in zip(totals, found, strict=True)] if totals else found
    draw = torch.Generator().manual_seed(seed)
    at_random = [torch.rand(len(one), generator=draw) for one in totals]
    return tuple(interventions.strongest(scores, count) for scores in (totals, at_random))
