"""Prefill in which visual tokens leave on the way through the layers of a stock Llama.

Departures from the released codes, alike for every method so that only the choice of tokens
differs: what stays keeps its original position, and a recycled token takes the place and position
of its cluster's centre. (SparseVLM and PyramidDrop number positions anew, and SparseVLM puts
recycled tokens behind the others.) Keeping everything is then the stock model, bit by bit.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.masking_utils import create_causal_mask

from vzlib.methods.inside.raters import rater_rows, rotated_keys
from vzlib.methods.inside.reduction import Reduction, reduce_visual
from vzlib.methods.inside.schedule import Inside
from vzlib.tokens.merging import take_tokens

SUPPORTED = "LlamaModel"


class Opening(NamedTuple):
    """A prompt up to the end of its image, taken through the first `depth` layers.

    Nothing in it depends on the question, so that many questions can follow one opening.
    hidden: entering layer 0 (the embeddings) to layer `depth`, each `[B, P, D]`.
    memory: keys and values of the layers it went through, each `[B, h, P, d]`.
    image: index of the first visual token; all that follow are visual.
    """

    hidden: tuple[Tensor, ...]
    memory: tuple[tuple[Tensor, Tensor], ...]
    image: int

    @property
    def depth(self) -> int:
        return len(self.memory)

    @property
    def visual(self) -> int:
        """Visual tokens."""
        return self.hidden[0].shape[1] - self.image


class Pruned(NamedTuple):
    """What a pruned prefill gives.

    hidden: `[B, T, D]` last hidden states, normalised, of the text after the image.
    cache: keys and values of the tokens that entered each layer; layers differ in length.
    length: tokens of the prompt before pruning, the position of the next token.
    places: for each layer `[B, n]`, which of the image's tokens entered it, ascending.
    reductions: by the layer that first ran without the dropped tokens.
    """

    hidden: Tensor
    cache: DynamicCache
    length: int
    places: tuple[Tensor, ...]
    reductions: dict[int, Reduction]

    @property
    def counts(self) -> tuple[int, ...]:
        """Visual tokens that entered each layer."""
        return tuple(place.shape[1] for place in self.places)


@torch.no_grad()
def open_prompt(language_model: Any, embeds: Tensor, image: int, depth: int = 0) -> Opening:
    """Take the beginning of prompts, `[B, P, D]` embeddings, through the first `depth` layers.

    image: index of the first visual token; the image ends the opening. With depth 0 nothing runs
    yet. Raises ValueError for an unsupported model or an index outside.
    """
    check_language_model(language_model)
    if not 0 <= image < embeds.shape[1]:
        raise ValueError(f"image={image} must be between 0 and {embeds.shape[1] - 1}")
    if not 0 <= depth <= len(language_model.layers):
        raise ValueError(f"depth={depth} must be between 0 and {len(language_model.layers)} layers")
    cache = DynamicCache(config=language_model.config)
    rotation = _rotation(language_model, embeds, embeds.shape[1])
    mask = _mask(language_model, embeds, cache, 0)
    hidden = [embeds]
    for layer in language_model.layers[:depth]:
        hidden.append(_run(layer, hidden[-1], mask, cache, rotation))
    memory = tuple(_memory(cache, layer) for layer in range(depth))
    return Opening(tuple(hidden), memory, image)


@torch.no_grad()
def pruned_prefill(
    language_model: Any,
    opening: Opening,
    text: Tensor,
    method: Inside | None,
    *,
    rows: Tensor | None = None,
    asked: Tensor | None = None,
    seed: int = 0,
) -> Pruned:
    """Run prompts through all layers, dropping visual tokens where the method says.

    language_model: a stock LlamaModel.
    opening: one for all prompts, or one each. Layers it went through are not run again as long as
        nothing was dropped; equal to a prefill in one pass (depth 0) up to rounding.
    rows: `[B]`, which opening each prompt follows, where there are other numbers of them.
    text: `[B, T, D]` embeddings of what follows the image, padded on the right.
    method: None keeps everything.
    asked: `[B]`, how many tokens of `text` are the prompt (default all). What follows, such as an
        answer to be scored or padding, does not vote and is not seen by what stands before it.
    seed: of the noise in SparseVLM's clustering; other methods have no chance in them.

    Raises ValueError for an unsupported model or shapes that do not fit, BudgetError for a schedule
    that does not fit the model.
    """
    check_language_model(language_model)
    layers, batch, length = language_model.layers, *text.shape[:2]
    asked = torch.full((batch,), length, device=text.device) if asked is None else asked
    _check(opening, text, rows, asked)
    schedule = () if method is None else method.stages(len(layers), opening.visual)
    stages = {stage.layer: stage for stage in schedule}
    join = min([opening.depth, len(layers), *stages])

    def each(state: Tensor) -> Tensor:
        """One row of the opening's tensor for each prompt."""
        return state.expand(batch, *state.shape[1:]) if rows is None else state[rows]

    whole = _rotation(language_model, text, opening.hidden[0].shape[1] + length)
    whole = (whole[0].expand(batch, -1, -1), whole[1].expand(batch, -1, -1))
    behind = (whole[0][:, -length:], whole[1][:, -length:])  # text stays: its rotation is the same
    if method is not None:
        raters, votes = _indices(
            method.raters(each(opening.hidden[0][:, opening.image :]), text, asked)
        )
        rater_rotation = (take_tokens(behind[0], raters), take_tokens(behind[1], raters))
    cache = DynamicCache(config=language_model.config)
    for index, (keys, values) in enumerate(opening.memory[:join]):
        cache.update(each(keys), each(values), index)

    hidden, entering, rotation = text, text, behind
    reductions: dict[int, Reduction] = {}
    place = torch.arange(opening.visual, device=text.device).expand(batch, -1)
    places: list[Tensor] = []
    for index, layer in enumerate(layers):
        if index == join:
            hidden, rotation = torch.cat([each(opening.hidden[join]), hidden], dim=1), whole
        if index in stages:
            stage = stages[index]
            own = stage.votes_of == index
            source = hidden if own else entering
            keys = rotated_keys(layer, hidden, rotation) if own else _memory(cache, index - 1)[0]
            rated = rater_rows(
                layers[stage.votes_of],
                take_tokens(source[:, -length:], raters),
                rater_rotation,
                keys,
                keys.shape[2] - length + raters + 1,
            )
            image = slice(opening.image, opening.image + place.shape[1])
            reduction = reduce_visual(rated[:, :, image], votes, hidden[:, image], stage, seed)
            if reduction is not None:
                hidden = _replace(hidden, image, reduction.hidden)
                cosines, sines = (
                    _replace(part, image, take_tokens(part[:, image], reduction.order))
                    for part in rotation
                )
                rotation = (cosines, sines)
                place = place.gather(1, reduction.order)
                reductions[index] = reduction
        if index in (0, join) or index in stages:
            mask = _mask(language_model, hidden, cache, index)
        places.append(place)
        entering = hidden
        hidden = _run(layer, hidden, mask, cache, rotation)
    hidden = language_model.norm(hidden[:, -length:])
    return Pruned(hidden, cache, whole[0].shape[1], tuple(places), reductions)


@torch.no_grad()
def next_hidden(language_model: Any, embeds: Tensor, position: int, cache: DynamicCache) -> Tensor:
    """Last hidden state `[B, 1, D]` of one more token behind a pruned prefill, added to `cache`.

    embeds: `[B, 1, D]`. position: of the token, counted without pruning. The stock model's own
    step takes the first layer's length for every layer's, which eager attention cannot bear.
    """
    positions = torch.full((1, 1), position, device=embeds.device)
    rotation = language_model.rotary_emb(embeds, position_ids=positions)
    for layer in language_model.layers:
        embeds = _run(layer, embeds, None, cache, rotation)
    return language_model.norm(embeds)


def check_language_model(language_model: Any) -> None:
    """Raise ValueError unless it is one whose layers can be run one by one, a LlamaModel."""
    if type(language_model).__name__ != SUPPORTED:
        raise ValueError(
            f"cannot prune inside a {type(language_model).__name__}; supported: {SUPPORTED}"
        )


def _run(layer: Any, hidden: Tensor, mask: Any, cache: DynamicCache, rotation: Any) -> Tensor:
    return layer(
        hidden,
        attention_mask=mask,
        past_key_values=cache,
        use_cache=True,
        position_embeddings=rotation,
    )


def _mask(language_model: Any, hidden: Tensor, cache: DynamicCache, layer: int) -> Any:
    """Causal mask for this layer's own cache; positions with gaps would pass for packed prompts."""
    return create_causal_mask(
        config=language_model.config,
        inputs_embeds=hidden,
        attention_mask=None,
        past_key_values=cache,
        layer_idx=layer,
    )


def _memory(cache: DynamicCache, layer: int) -> tuple[Tensor, Tensor]:
    filled: Any = cache.layers[layer]
    return filled.keys, filled.values


def _rotation(language_model: Any, like: Tensor, length: int) -> tuple[Tensor, Tensor]:
    positions = torch.arange(length, device=like.device).unsqueeze(0)
    return language_model.rotary_emb(like, position_ids=positions)


def _replace(hidden: Tensor, image: slice, visual: Tensor) -> Tensor:
    return torch.cat([hidden[:, : image.start], visual, hidden[:, image.stop :]], dim=1)


def _indices(raters: Tensor) -> tuple[Tensor, Tensor]:
    """The True places of `[B, T]` as `[B, R]`, R the most of any row, and which of them count."""
    count = raters.sum(dim=1, keepdim=True)
    index = raters.int().argsort(dim=1, descending=True, stable=True)[:, : int(count.max())]
    return index, torch.arange(index.shape[1], device=index.device) < count


def _check(opening: Opening, text: Tensor, rows: Tensor | None, asked: Tensor) -> None:
    batch, length = text.shape[:2]
    openings = opening.hidden[0].shape[0]
    if rows is None and openings not in (1, batch):
        raise ValueError(f"{openings} openings for {batch} texts: give one, one each, or rows")
    if rows is not None and (rows.shape != (batch,) or rows.min() < 0 or rows.max() >= openings):
        raise ValueError(
            f"rows must be {batch} numbers between 0 and {openings - 1}, not {rows.tolist()}"
        )
    if asked.shape != (batch,) or asked.min() < 1 or asked.max() > length:
        raise ValueError(
            f"asked must be {batch} numbers between 1 and the {length} tokens after the image, "
            f"not {asked.tolist()}"
        )
