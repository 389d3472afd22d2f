"""Where the words of a question are to look: a third loss of the language model.

Trained on answers alone, "is there a cat ?" stays at the rate of its commonest answer: nothing is
said of a thing as long as it is not found, and nothing is found as long as nothing is said of it.
So a word that names things is told to attend to the patches that show them, or to the first token
if there are none, in two layers: what it then takes over tells one from the other. The layers are
stock; the loss acts in training only.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from vzlib.embedded.dino.labels import KINDS, LABELS, NAMES, told_of
from vzlib.scenes import things
from vzlib.scenes.things import catalogue
from vzlib.training.answers import Asked

GROUNDED = (
    7,
    9,
)  # of twelve layers: the last but one that was put in, and the one that finds words
WEIGHT = 0.5  # of the mean over words, heads and layers, in the loss


@dataclass
class Caught:
    """What a layer's attention was given: `[B, T, H]` and the cosines and sines of its places."""

    attention: Any
    hidden: Tensor
    rotary: tuple[Tensor, Tensor]


@cache
def named() -> dict[str, tuple[str, int]]:
    """What words name: a label of patches and its value."""
    groups = {
        word: ("group", number)
        for number, group in enumerate(catalogue.GROUPS)
        for word in (group, things.questions.plural(group))
    }
    kinds = {kind: ("kind", KINDS.index(kind)) for kind in ("number", "word", "digit")}
    return {name: ("name", number) for number, name in enumerate(NAMES)} | groups | kinds


@contextmanager
def attended(model: Any) -> Iterator[list[Caught]]:
    """Fills the list with what the attention of the layers `GROUNDED` is given in a pass."""
    caught: list[Caught] = []

    def keep(attention: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        hidden = named["hidden_states"] if "hidden_states" in named else given[0]
        caught.append(Caught(attention, hidden, named["position_embeddings"]))

    layers = model.model.language_model.layers
    hooks = [
        layers[number].self_attn.register_forward_pre_hook(keep, with_kwargs=True)
        for number in GROUNDED
        if number < len(layers)
    ]
    try:
        yield caught
    finally:
        for hook in hooks:
            hook.remove()


def targets(
    asked: Asked, labels: Tensor, scenes: Sequence[Any], vocabulary: Mapping[str, int]
) -> tuple[Tensor, Tensor]:
    """The words that name something, `[N, 2]` (scene, place in `asked`), and what they name.

    labels: `[B, P, len(LABELS)]` of patches. Returns also which of the P patches each names,
    `bool [N, P]`, none where nothing in the scene is called so. A thing so small that it covers
    no patch is left out.
    """
    columns = list(LABELS)
    words, found = [], []
    for word, (label, value) in named().items():
        places = (asked.ids == vocabulary[word]).nonzero()
        if not len(places):
            continue
        shown = labels[places[:, 0], :, columns.index(label)] == value
        there = [
            any(told_of(thing).get(label) == value for thing in scene.objects) for scene in scenes
        ]
        told = shown.any(dim=1) | ~torch.tensor(there, device=shown.device)[places[:, 0]]
        words.append(places[told])
        found.append(shown[told])
    return torch.cat(words), torch.cat(found)


def grounding_loss(
    caught: list[Caught], asked: Asked, words: Tensor, found: Tensor, opening: int
) -> tuple[Tensor, float]:
    """Minus the logarithm of the attention on what words name, and the mean of that attention.

    words, found: of `targets`; opening: tokens before the patches, the first of which is where
    words look that name nothing here.
    """
    scene, place = words.unbind(dim=1)
    prefix = caught[0].hidden.shape[1] - asked.ids.shape[1]
    aim = F.pad(found, (opening, asked.ids.shape[1])).clone()
    aim[:, 0] = ~found.any(dim=1)
    own = asked.block[scene] == asked.block[scene, place][:, None]
    own &= torch.arange(own.shape[1], device=own.device) <= place[:, None]
    seen = torch.cat([own.new_ones(len(own), prefix), own], dim=1)  # [N, T]
    losses, shares = [], []
    for layer in caught:
        attention, (cosines, sines) = layer.attention, layer.rotary
        shape = (*layer.hidden.shape[:2], -1, attention.head_dim)
        queries = attention.q_proj(layer.hidden).view(shape).transpose(1, 2)
        keys = attention.k_proj(layer.hidden).view(shape).transpose(1, 2)
        queries, keys = apply_rotary_pos_emb(queries, keys, cosines, sines)
        for number in range(len(layer.hidden)):
            mine = scene == number
            if not mine.any():
                continue
            asking = queries[number][:, prefix + place[mine]]
            scores = (asking @ keys[number].transpose(1, 2)).float() * attention.scaling
            scores = scores.masked_fill(~seen[mine], float("-inf")).log_softmax(dim=-1)
            on = scores.masked_fill(~aim[mine], float("-inf")).logsumexp(dim=-1)
            losses.append(-on.mean(dim=0))
            shares.append(on.detach().exp().mean(dim=0))
    return torch.cat(losses).mean(), torch.cat(shares).mean().item()
