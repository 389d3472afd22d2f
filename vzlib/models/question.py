"""The question in a prompt, for methods that choose an image's tokens by it.

While such a method is at work, a layer lies over `forward` of the core and over `generate`, which
encodes images before it calls `forward`: both keep the prompt's ids at hand meanwhile.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vzlib.models.answer import prompt

# Of this thread: the part of a model, the ids [N, S] of its prompts, and which of them are read.
_prompts: ContextVar[tuple[Any, Tensor, Tensor | None] | None] = ContextVar("prompts", default=None)


class Frame(NamedTuple):
    """Ids that stand before and behind a question in every prompt, but for the image's."""

    before: tuple[int, ...]
    behind: tuple[int, ...]


def frame_of(processor: Any) -> Frame:
    """What a processor's chat template puts around a question about one image."""
    tokenizer = processor.tokenizer
    image = tokenizer.convert_tokens_to_ids(processor.image_token)
    one, other = (
        [token for token in tokenizer(prompt(processor, word))["input_ids"] if token != image]
        for word in ("what", "how")
    )
    before = _common(one, other)
    behind = _common(one[before:][::-1], other[before:][::-1])
    return Frame(tuple(one[:before]), tuple(one[len(one) - behind :]))


def _common(one: list[int], other: list[int]) -> int:
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def listening(
    below: Callable[..., Any],
    core: Any,
    input_ids: Tensor | None = None,
    *others: Any,
    **options: Any,
) -> Any:
    """A layer over `forward` of the core."""
    with _at_hand(core, input_ids, options.get("attention_mask")):
        return below(core, input_ids, *others, **options)


def listening_generate(
    below: Callable[..., Any],
    model: Any,
    inputs: Tensor | None = None,
    *others: Any,
    **options: Any,
) -> Any:
    """A layer over `generate` of the model."""
    ids = options.get("input_ids") if inputs is None else inputs
    with _at_hand(model.base_model, ids, options.get("attention_mask")):
        return below(model, inputs, *others, **options)


@contextmanager
def _at_hand(core: Any, ids: Tensor | None, mask: Tensor | None) -> Iterator[None]:
    if ids is None:  # as within `generate`, of which more is known
        yield
        return
    token = _prompts.set((core, ids, mask))
    try:
        yield
    finally:
        _prompts.reset(token)


def asked_here(
    core: Any, frame: Frame | None, placeholders: Sequence[int], kind: str = "image"
) -> tuple[Tensor, Tensor]:
    """The question about each image, embedded [B, T, E], and which of its tokens are words [B, T].

    placeholders: of each image, or of each "video", which `kind` says. Reads the prompt's ids, for
    which the host waits.
    Raises ValueError if no prompt is known, or none that has words.
    """
    known = _prompts.get()
    if known is None or known[0] is not core:
        raise ValueError(
            "a method that chooses by the question needs it: call the model with input_ids and "
            "pixel_values together"
        )
    ids, mask = known[1:]
    read = torch.ones_like(ids) if mask is None or mask.shape != ids.shape else mask
    found, left, visual = [], list(placeholders), getattr(core.config, f"{kind}_token_id")
    others = {core.config.image_token_id, getattr(core.config, "video_token_id", None)}
    for row, kept in zip(ids.tolist(), read.tolist(), strict=True):
        tokens = [token for token, here in zip(row, kept, strict=True) if here]
        words = [token for token in tokens if token not in others]
        here = tokens.count(visual)
        while left and here >= left[0] > 0:
            here -= left.pop(0)
            found.append(torch.tensor(_unframed(words, frame)))
    if left or not all(len(one) for one in found):
        raise ValueError(
            f"{len(found)} of {len(placeholders)} {kind}s stand in a prompt with words; a method "
            "that chooses by the question needs a question about each"
        )
    lengths = torch.tensor([len(one) for one in found])
    padded = pad_sequence(found, batch_first=True).to(ids.device)
    is_word = torch.arange(padded.shape[1]) < lengths[:, None]
    return core.get_input_embeddings()(padded), is_word.to(ids.device)


def _unframed(words: list[int], frame: Frame | None) -> list[int]:
    """The question alone, where the prompt is of the processor's own template."""
    if frame is None:
        return words
    before, behind = map(list, frame)
    end = len(words) - len(behind)
    if words[: len(before)] == before and words[end:] == behind and end > len(before):
        return words[len(before) : end]
    return words
