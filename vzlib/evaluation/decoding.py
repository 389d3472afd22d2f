"""Greedy answers to many questions about one image, whose beginning is read once.

Stock `generate` gives the same answers, a prompt at a time (`vzlib.zip_model`).
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from vzlib.methods.inside.pruned_prefill import Opening, next_hidden, pruned_prefill
from vzlib.methods.inside.schedule import Inside
from vzlib.models.answer import prompt as prompt_of


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
