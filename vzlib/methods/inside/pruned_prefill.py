"""Many questions behind one image: prompts that share their beginning, pruned each for itself."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.masking_utils import create_causal_mask

from vzlib.methods.inside.pruned_pass import (
    Front,
    Pruning,
    check_language_model,
    groups_of,
    run_layers,
    visual_places,
)
from vzlib.methods.inside.schedule import Inside


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
    places: for each layer `[B, n]`, which of the image's tokens entered it, ascending, and -1
    behind them where others have more.
    """

    hidden: Tensor
    cache: DynamicCache
    length: int
    places: tuple[Tensor, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Visual tokens that entered each layer, of the prompt that keeps most."""
        return tuple(place.shape[1] for place in self.places)

    def places_of(self, prompt: int) -> tuple[Tensor, ...]:
        """For each layer `[n]`, which of the image's tokens entered it in one of the prompts."""
        return tuple(place[prompt][place[prompt] >= 0] for place in self.places)


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
    positions = torch.arange(embeds.shape[1], device=embeds.device).unsqueeze(0)
    rotation = language_model.rotary_emb(embeds, position_ids=positions)
    mask = create_causal_mask(
        config=language_model.config,
        inputs_embeds=embeds,
        attention_mask=None,
        past_key_values=cache,
    )
    hidden = [embeds]
    for layer in language_model.layers[:depth]:
        entering = hidden[-1]
        hidden.append(
            layer(
                entering,
                attention_mask=mask,
                past_key_values=cache,
                use_cache=True,
                position_embeddings=rotation,
            )
        )
    filled: list[Any] = list(cache.layers[:depth])
    return Opening(tuple(hidden), tuple((each.keys, each.values) for each in filled), image)


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

    def each(state: Tensor) -> Tensor:
        """One row of the opening's tensor for each prompt."""
        return state.expand(batch, *state.shape[1:]) if rows is None else state[rows]

    beginning, pruning, join = opening.hidden[0].shape[1], None, opening.depth
    column = torch.arange(beginning + length, device=text.device)
    visual = ((column >= opening.image) & (column < beginning)).expand(batch, -1)
    if method is not None:
        words = column[:length] < asked.unsqueeze(1)
        raters = method.raters(each(opening.hidden[0][:, opening.image :]), text, words)
        groups = groups_of(method, len(layers), [opening.visual] * batch)
        pruning = Pruning(visual, raters, groups, seed)
        join = min([join, *groups[0].stages])
    cache = DynamicCache(config=language_model.config)
    for index, (keys, values) in enumerate(opening.memory[:join]):
        cache.update(each(keys), each(values), index)
    passed = run_layers(
        language_model,
        text,
        column.unsqueeze(0),
        cache=cache,
        pruning=pruning,
        front=Front(join, each(opening.hidden[join])),
    )
    places = visual_places(visual, passed.columns)
    return Pruned(passed.hidden[:, -length:], cache, len(column), places)


@torch.no_grad()
def next_hidden(language_model: Any, embeds: Tensor, position: int, cache: DynamicCache) -> Tensor:
    """Last hidden state `[B, 1, D]` of one more token behind a pruned prefill, added to `cache`.

    embeds: `[B, 1, D]`. position: of the token, counted without pruning.
    """
    positions = torch.full((1, 1), position, device=embeds.device)
    return run_layers(language_model, embeds, positions, cache=cache).hidden


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
