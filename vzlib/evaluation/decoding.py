"""Greedy answers and logits of a stock LLaVA whose language model prunes visual tokens."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vzlib.methods.inside.pruned_prefill import (
    Opening,
    check_language_model,
    next_hidden,
    pruned_prefill,
)
from vzlib.methods.inside.pruned_prefill import open_prompt as _open
from vzlib.methods.inside.schedule import Inside
from vzlib.models.answer import prompt as prompt_of


class Prompt(NamedTuple):
    """Embeddings of prompts with one image each, which starts at the same place in all.

    opening: `[B, P, D]` up to the end of the image. image: index of the first visual token.
    text: `[B, T, D]` behind the image, padded on the right. asked: `[B]`, its tokens without
    padding.
    """

    opening: Tensor
    image: int
    text: Tensor
    asked: Tensor


@torch.no_grad()
def embed_prompt(model: Any, inputs: Mapping[str, Tensor]) -> Prompt:
    """Embeddings of what a processor made, as the stock model makes them.

    model: a LLaVA over a Llama, zipped or not. inputs: `input_ids` `[B, S]`, `pixel_values`, and
    `attention_mask` where there is padding, on either side.

    Raises ValueError for an unsupported model, for prompts that do not hold exactly one image each,
    at the same place, with text behind it, and if placeholders do not fit the visual tokens.
    """
    check_language_model(getattr(model.base_model, "language_model", model.base_model))
    ids = inputs["input_ids"]
    filled = inputs.get("attention_mask", torch.ones_like(ids))
    ids = ids.gather(1, filled.argsort(dim=1, descending=True, stable=True))  # padding goes last
    image = ids == model.config.image_token_id
    start, visual = _image(image.cpu(), len(inputs.get("pixel_values", ())))
    features = model.base_model.get_image_features(inputs["pixel_values"]).pooler_output
    embeds = model.get_input_embeddings()(ids)
    features = torch.cat(tuple(features)).to(embeds.device, embeds.dtype)
    mask = model.base_model.get_placeholder_mask(ids, embeds, features)
    embeds = embeds.masked_scatter(mask, features)
    end = start + visual
    return Prompt(embeds[:, :end], start, embeds[:, end:], filled.sum(dim=1) - end)


@torch.no_grad()
def last_logits(
    model: Any, inputs: Mapping[str, Tensor], method: Inside | None, *, last: int = 1, seed: int = 0
) -> Tensor:
    """Logits `[B, last, V]` of the prompts' last tokens, a batch at a time.

    method: None keeps everything. Raises ValueError as `embed_prompt`, for `last` beyond the text
    behind an image, and for several prompts under a rank-adaptive method.
    """
    prompt = embed_prompt(model, inputs)
    if not 1 <= last <= prompt.asked.min():
        raise ValueError(
            f"last={last} must be between 1 and {int(prompt.asked.min())}, the tokens behind the "
            "image in the shortest prompt"
        )
    pruned = _prefill(model, prompt, method, seed)
    places = prompt.asked.unsqueeze(1) + torch.arange(-last, 0, device=prompt.asked.device)
    rows = torch.arange(len(places), device=places.device).unsqueeze(1)
    return model.lm_head(pruned.hidden[rows, places])


@torch.no_grad()
def generate(
    model: Any,
    inputs: Mapping[str, Tensor],
    method: Inside | None,
    *,
    max_new_tokens: int = 32,
    seed: int = 0,
) -> Tensor:
    """Greedy decoding of one prompt, as the stock `generate`: ids `[1, S + new]`, prompt included.

    Selection is made once, in the prefill; new tokens see in each layer what entered it.
    Raises ValueError as `embed_prompt` and `decode`, and for more than one prompt.
    """
    ids = inputs["input_ids"]
    if len(ids) != 1:
        raise ValueError(f"generate takes one prompt at a time, not {len(ids)}")
    prompt = embed_prompt(model, inputs)
    opening = _open(model.base_model.language_model, prompt.opening, prompt.image)
    text = prompt.text[:, : int(prompt.asked[0])]
    said = decode(model, opening, text, method, max_new_tokens=max_new_tokens, seed=seed)
    return torch.cat([ids, said.ids], dim=1)


class Decoded(NamedTuple):
    """A greedy answer.

    ids: `[1, new]`, with the end token if it came. ended: whether it did.
    places: for each layer `[n]`, which of the image's tokens entered it.
    """

    ids: Tensor
    ended: bool
    places: tuple[Tensor, ...]


@torch.no_grad()
def decode(
    model: Any,
    opening: Opening,
    text: Tensor,
    method: Inside | None,
    *,
    max_new_tokens: int = 32,
    seed: int = 0,
) -> Decoded:
    """Greedy decoding behind one image, of whatever visual tokens its opening holds.

    opening: of one image; many questions can follow it. text: `[1, T, D]` embeddings of what
    follows the image. Raises ValueError as `pruned_prefill` does.
    """
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens={max_new_tokens} must be at least 1")
    language_model, embed = model.base_model.language_model, model.get_input_embeddings()
    pruned = pruned_prefill(language_model, opening, text, method, seed=seed)
    end = model.generation_config.eos_token_id
    ends = set() if end is None else {end} if isinstance(end, int) else set(end)
    hidden, words = pruned.hidden[:, -1:], list[Tensor]()
    for step in range(max_new_tokens):
        words.append(model.lm_head(hidden).argmax(dim=-1))
        if step + 1 == max_new_tokens or int(words[-1]) in ends:
            break
        hidden = next_hidden(language_model, embed(words[-1]), pruned.length + step, pruned.cache)
    places = tuple(place[0] for place in pruned.places)
    return Decoded(torch.cat(words, dim=1), int(words[-1]) in ends, places)


@torch.no_grad()
def embed_question(model: Any, processor: Any, question: str) -> Tensor:
    """Embeddings `[1, T, D]` of a prompt's text behind its image, for `decode`."""
    ids = processor.tokenizer(prompt_of(processor, question))["input_ids"]
    behind = ids.index(processor.tokenizer.convert_tokens_to_ids(processor.image_token)) + 1
    embed = model.get_input_embeddings()
    return embed(torch.tensor([ids[behind:]], device=embed.weight.device))


def _prefill(model: Any, prompt: Prompt, method: Inside | None, seed: int) -> Any:
    language_model = model.base_model.language_model
    opening = _open(language_model, prompt.opening, prompt.image)
    return pruned_prefill(
        language_model, opening, prompt.text, method, asked=prompt.asked, seed=seed
    )


def _image(image: Tensor, images: int) -> tuple[int, int]:
    """First placeholder and their number, the same in every row of `[B, S]`."""
    batch, length = image.shape
    count, start = image.sum(dim=1), image.int().argmax(dim=1)
    place = torch.arange(length)
    run = (place >= start[:, None]) & (place < (start + count)[:, None])
    whole = images == batch and torch.equal(run, image) and bool((count > 0).all())
    if not whole or len(count.unique()) > 1 or len(start.unique()) > 1:
        raise ValueError(
            f"each of the {batch} prompts must hold one image, in one piece and at the same place "
            f"in all; there are {images} images, and placeholders number {count.tolist()} from "
            f"{start.tolist()}"
        )
    if int(start[0] + count[0]) == length:
        raise ValueError("text must follow the image: its last token chooses what stays")
    return int(start[0]), int(count[0])
