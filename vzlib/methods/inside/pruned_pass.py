"""Layers of a stock Llama one after the other, visual tokens leaving on the way.

Departures from the released codes, alike for every method so that only the choice of tokens
differs: what stays keeps its original position, and a recycled token takes the place and position
of its cluster's centre. (SparseVLM and PyramidDrop number positions anew, and SparseVLM puts
recycled tokens behind the others.) Keeping everything is then the stock model, bit by bit.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers.masking_utils import create_causal_mask

from vzlib.methods.inside.memory import Standing
from vzlib.methods.inside.raters import Rotation, rater_rows, rotated_keys
from vzlib.methods.inside.reduction import reduce_visual
from vzlib.methods.inside.schedule import Inside, Stage
from vzlib.tokens.merging import take_tokens

SUPPORTED = "LlamaModel"


class Group(NamedTuple):
    """Rows [R] whose prompts hold the same number of visual tokens, and their stages by layer."""

    rows: Tensor
    visual: int
    stages: dict[int, Stage]


class Pruning(NamedTuple):
    """What a pass prunes.

    visual: `[B, S]` bool, the visual tokens among those that come in, a front included.
    raters: `[B, T]` bool, which of the last T tokens vote. seed: of what is drawn at random.
    """

    visual: Tensor
    raters: Tensor
    groups: tuple[Group, ...]
    seed: int


class Front(NamedTuple):
    """Tokens `[B, P, D]` that join in before the others at a layer; till then a cache has them."""

    layer: int
    hidden: Tensor


class Passed(NamedTuple):
    """What comes out of the last layer.

    hidden: `[B, n, D]`, normalised. columns: for each layer `[B, n]`, which of the tokens that came
    in entered it, -1 for padding, which is on the left.
    """

    hidden: Tensor
    columns: tuple[Tensor, ...]


def check_language_model(language_model: Any) -> None:
    """Raise ValueError unless it is one whose layers can be run one by one, a LlamaModel."""
    if type(language_model).__name__ != SUPPORTED:
        raise ValueError(
            f"cannot prune inside a {type(language_model).__name__}; supported: {SUPPORTED}"
        )


def groups_of(method: Inside, layers: int, counts: list[int]) -> tuple[Group, ...]:
    """Rows by how many visual tokens they have; each alone where what stays depends on the prompt.

    Raises BudgetError for a schedule that does not fit the model.
    """
    found = []
    for count in sorted({one for one in counts if one}):
        stages = {stage.layer: stage for stage in method.stages(layers, count)}
        rows = [row for row, one in enumerate(counts) if one == count]
        together = all(isinstance(stage.keep, int) for stage in stages.values())
        for own in [rows] if together else [[row] for row in rows]:
            found.append(Group(torch.tensor(own), count, stages))
    return tuple(found)


def pruning_of(
    method: Inside, layers: int, embeds: Tensor, visual: Tensor, words: Tensor, seed: int
) -> Pruning:
    """What a method prunes of prompts `embeds` `[B, S, D]`.

    visual: `[B, S]` bool; all visual tokens of a prompt are chosen from together. words: `[B, S]`
    bool, the text that may vote, behind the last of them. The host waits for both.
    Raises BudgetError for a schedule that does not fit the model.
    """
    groups = groups_of(method, layers, visual.sum(dim=1).tolist())
    first = int(words.int().argmax(dim=1)[visual.any(dim=1)].min())
    raters = torch.zeros_like(words[:, first:])
    for rows, count, _ in groups:
        rows = rows.to(embeds.device)
        image = take_tokens(embeds[rows], places_of(visual[rows], count))
        raters[rows] = method.raters(image, embeds[rows, first:], words[rows, first:])
    return Pruning(visual, raters, groups, seed)


def run_layers(
    language_model: Any,
    hidden: Tensor,
    positions: Tensor,
    *,
    cache: Any = None,
    valid: Tensor | None = None,
    mask: Any = None,
    pruning: Pruning | None = None,
    front: Front | None = None,
    **options: Any,
) -> Passed:
    """Run tokens through all layers, dropping visual tokens where the stages say.

    language_model: a stock LlamaModel. hidden: `[B, S, D]` embeddings, behind what `cache` holds.
    positions: `[B or 1, S]` of them; with a `front` `[B or 1, P + S]`, its own first.
    valid: `[B, C]` bool, False for padding, of all tokens that there have been, those in the cache
    included; None if there is no padding. mask: what the stock model is given to tell, for layers
    that nothing has left. options: further arguments of every layer.
    Raises ValueError for a cache whose layers were cut or put together since tokens left.
    """
    batch, length = hidden.shape[:2]
    ahead = 0 if front is None else front.hidden.shape[1]
    standing = Standing(cache, batch, length, ahead, valid, pruning is not None)
    everything = torch.arange(ahead + length, device=hidden.device).expand(batch, -1)
    columns, own = everything, positions[:, ahead:]
    rotation: Rotation = language_model.rotary_emb(hidden, position_ids=own)
    entering, entered = (hidden, rotation), list[Tensor]()
    for index, layer in enumerate(language_model.layers):
        changed = index == 0 or standing.differs(index)
        if front is not None and index == front.layer:
            hidden, own, changed = torch.cat([front.hidden, hidden], dim=1), positions, True
            rotation = language_model.rotary_emb(hidden, position_ids=own)
        if pruning is not None and any(index in group.stages for group in pruning.groups):
            votes_of = pruning.groups[0].stages[index].votes_of
            source = (hidden, rotation) if votes_of == index else entering
            apart = front is not None and votes_of < front.layer
            keys = standing.keys(votes_of, ahead if apart else None)
            seen = standing.valid(votes_of, columns)
            with torch.no_grad():
                voting = language_model.layers[votes_of]
                rated = _rated(voting, *source, keys, seen, pruning.raters)
            lost = _drop(index, hidden, columns, rated, pruning, standing.padding(columns))
            if lost is not None:
                hidden, columns, padded = lost
                standing.ragged |= padded
                own = positions.expand(batch, -1).gather(1, columns.clamp(min=0))
                rotation, changed = language_model.rotary_emb(hidden, position_ids=own), True
        if changed:
            whole = columns is everything and standing.is_whole(index)
            new = columns if pruning is not None else None
            attention = create_causal_mask(
                config=language_model.config,
                inputs_embeds=hidden,
                attention_mask=mask if whole else standing.valid(index, new),
                past_key_values=cache,
                position_ids=own if whole else None,  # with gaps they pass for packed prompts
                layer_idx=index,
            )
        entering = (hidden, rotation)
        entered.append(columns)
        hidden = layer(
            hidden,
            attention_mask=attention,
            past_key_values=cache,
            use_cache=cache is not None,
            position_embeddings=rotation,
            **options,
        )
    if columns is not everything:
        standing.remember(entered)
    return Passed(language_model.norm(hidden), tuple(entered))


def visual_places(visual: Tensor, entered: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """For each layer `[B, n]`, which of a prompt's visual tokens entered it, and -1 behind them.

    visual: `[B, S]` bool. entered: for each layer the columns of `Passed`.
    """
    number = visual.cumsum(dim=1) - 1
    made: dict[int, Tensor] = {}
    for columns in entered:
        if id(columns) not in made:
            here = visual.gather(1, columns.clamp(min=0)) & (columns >= 0)
            count = here.sum(dim=1, keepdim=True)
            order = places_of(here, int(count.max()))
            found = number.gather(1, columns.gather(1, order).clamp(min=0))
            behind = torch.arange(order.shape[1], device=order.device) >= count
            made[id(columns)] = found.masked_fill(behind, -1)
    return tuple(made[id(columns)] for columns in entered)


def places_of(marked: Tensor, count: int) -> Tensor:
    """The places `[B, count]` of the True of `marked` `[B, S]`, ascending, and then of others."""
    return marked.int().argsort(dim=1, descending=True, stable=True)[:, :count]


def _rated(
    layer: Any,
    hidden: Tensor,
    rotation: Rotation,
    held: Tensor | None,
    valid: Tensor | None,
    raters: Tensor,
) -> Tensor:
    """Attention `[B, R, n]` in a layer of those who vote; held: keys of what stood there before."""
    length, batch = raters.shape[1], len(hidden)
    index, _ = _voters(raters)
    cosines, sines = (
        take_tokens(part[:, -length:].expand(batch, -1, -1), index) for part in rotation
    )
    keys = rotated_keys(layer, hidden, rotation)
    if held is not None:
        keys = torch.cat([held.to(keys.device), keys], dim=2)
    seen = keys.shape[2] - length + index + 1
    voting = take_tokens(hidden[:, -length:], index)
    return rater_rows(layer, voting, (cosines, sines), keys, seen, valid)


def _voters(raters: Tensor) -> tuple[Tensor, Tensor]:
    """The True places of `[B, T]` as `[B, R]`, R the most of any row, and which of them count."""
    count = raters.sum(dim=1, keepdim=True)
    index = places_of(raters, int(count.max()))
    votes = torch.arange(index.shape[1], device=index.device) < count
    return torch.where(votes, index, index[:, :1]), votes


def _drop(
    layer: int,
    hidden: Tensor,
    columns: Tensor,
    rated: Tensor,
    pruning: Pruning,
    padding: Tensor | None,
) -> tuple[Tensor, Tensor, bool] | None:
    """Hidden states and columns of what stays, and whether rows were padded for the longest.

    rated: `[B, R, k]` attention to all keys, those of `columns` last. None if all stay.
    """
    _, votes = _voters(pruning.raters)
    rated = rated[:, :, -columns.shape[1] :]
    visual = pruning.visual.gather(1, columns.clamp(min=0)) & (columns >= 0)
    stays = torch.ones_like(visual)
    all_stay = True
    for group in pruning.groups:
        rows = group.rows.to(hidden.device)
        image = places_of(visual[rows], int(visual[rows[0]].sum()))
        own = rated[rows].gather(2, image.unsqueeze(1).expand(-1, rated.shape[1], -1))
        before, stage = take_tokens(hidden[rows], image), group.stages[layer]
        reduction = reduce_visual(own, votes[rows], before, stage, pruning.seed)
        if reduction is None:
            continue
        all_stay = False
        row, kept = rows.unsqueeze(1), image.gather(1, reduction.order)
        stays[row, image] = False
        stays[row, kept] = True
        if stage.recycles:
            hidden = hidden.index_put((row, kept), reduction.hidden)
    if all_stay:
        return None
    if padding is not None:
        stays &= ~padding
    count = stays.sum(dim=1)
    most, least = int(count.max()), int(count.min())
    order = stays.int().argsort(dim=1, stable=True)[:, -most:]
    left = columns.gather(1, order).masked_fill(~stays.gather(1, order), -1)
    return take_tokens(hidden, order), left, least < most
