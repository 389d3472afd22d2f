"""Frames, or images, one behind the other in a prompt, each behind its number.

"frame 1 <image> frame 2 <image> ...", as InternVL numbers the frames of a clip: which frame a token
is of, is told by the text before it and not by how many tokens frames have, so that it is told
however few there are.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from vzlib.methods.before import Before
from vzlib.models.load import Loaded
from vzlib.models.towers import encode
from vzlib.models.views import Budgeted, ByView, Joined, Seen, Shape
from vzlib.scenes.clips import Clip
from vzlib.tokens.evidence import Encoded

Spread = Literal["evenly", "attention"]


class Prefix(NamedTuple):
    """What stands before a question, without what opens the prompt.

    embeds: `[1, P, H]`. visual: `[P]` bool, which of them are of images.
    """

    embeds: Tensor
    visual: Tensor


@torch.no_grad()
def look(loaded: Loaded, clip: Clip) -> Encoded:
    """What the tower sees of every frame: `[F, S, ...]`."""
    pixels = loaded.pixels([frame.image for frame in clip.frames])
    return encode(loaded.tower, pixels, layer=loaded.layer)


@torch.no_grad()
def prefix(
    loaded: Loaded,
    kind: str,
    encoded: Encoded,
    method: Before | None,
    budget: int,
    spread: Spread = "evenly",
    seed: int = 0,
) -> Prefix:
    """The frames of a clip, or an album's images, within a budget.

    method: None leaves every token that the stock model reads. budget: tokens of all frames
    together. spread: "evenly" gives each frame as many as the others, "attention" as many as it has
    among the tokens of all frames that receive most.
    """  # fmt: skip
    frames, count = encoded.hidden.shape[:2]
    if method is None:
        cut = loaded.model.config.vision_feature_select_strategy == "default"
        kept = list(encoded.hidden[:, int(cut and loaded.has_cls) :])
    else:
        shape = Shape(frames, count - loaded.has_cls, frames * count)
        reduction = ByView(method, Budgeted(budget, spread), seed)
        seen = Seen(shape, encoded, loaded.has_cls, {})
        (reduced,) = reduction(loaded.model.base_model, [seen], _in_order, kind)
        assert reduced is not None
        frame = reduced.places[0].div(count, rounding_mode="floor")
        kept = [reduced.tokens[0, frame == number] for number in range(frames)]
    return _numbered(loaded, "frame" if kind == "clip" else "image", kept)


def _in_order(number: int, joined: Joined) -> Tensor:
    return torch.arange(len(joined.views))


def _numbered(loaded: Loaded, word: str, kept: Sequence[Tensor]) -> Prefix:
    model: Any = loaded.model
    parts, visual = [], []
    for number, tokens in enumerate(kept):
        ids = loaded.processor.tokenizer(f"{word} {number + 1}", add_special_tokens=False)
        said = model.get_input_embeddings()(torch.tensor(ids["input_ids"], device=model.device))
        parts += [said, model.base_model.multi_modal_projector(tokens)]
        visual += [False] * len(said) + [True] * len(tokens)
    return Prefix(torch.cat(parts).unsqueeze(0), torch.tensor(visual, device=model.device))


def text(kind: str, frames: int, image_token: str, question: str) -> str:
    """The same as a prompt for the stock processor."""
    word = "frame" if kind == "clip" else "image"
    shown = " ".join(f"{word} {number + 1} {image_token}" for number in range(frames))
    return f"USER: {shown} {question} ASSISTANT:"
