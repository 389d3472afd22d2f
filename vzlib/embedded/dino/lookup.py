"""Two layers that look things up, behind pico's: how new words come to mean what patches show.

Pico's language model finds the patch of a shape and says its colour. 158 new names lie in no
direction that it knows, and trained from there "which animal is there ?" stays at chance: nothing
is copied as long as nothing is found, and nothing is found as long as nothing is copied. So two new
layers start as they must end, and all is trained on from there:

1. a new word of a question attends to the patches that say its direction, and takes over what else
   they say;
2. where the answer begins, the new words of the question are attended to, and what they found is
   taken over.

The directions are those of the alignment, in which the projector writes names and groups. Content
is compared in the slow dimensions of the rotary embedding alone, in which places hardly differ.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import LlavaConfig, LlavaForConditionalGeneration

from vzlib.embedded.dino.features import Features
from vzlib.embedded.dino.language import (
    OPENING,
    StandardisedProjector,
    asked_about,
    window_places,
)
from vzlib.training.answers import hidden_states

LOOKUPS = 2
SLOWEST = 12  # pairs of rotary dimensions of a head that compare content
NORM = 60.0  # of a new word's embedding: as long as what pico's layers add to it
COPIED = 4.0  # times a token of norm 1 in each dimension is added to what attends to it
SHARP = {"groups": 2.0, "names": 1.4, "never": 4.0, "words": 3.0}  # sizes of projections
_SAID = 0.8  # of a new word's direction, what it means; the rest marks it as a new word


@torch.no_grad()
def residuals(
    model: LlavaForConditionalGeneration,
    projector: StandardisedProjector,
    vocabulary: Mapping[str, int],
    features: Features,
    numbers: Sequence[int],
    each: Mapping[str, int],
) -> tuple[Tensor, Tensor]:
    """What the last layer leaves, `[N, H]` everywhere and `[M, H]` where answers begin."""
    caught: list[Tensor] = []
    last: Any = model.model.language_model.layers[-1]
    hook = last.register_forward_hook(lambda layer, given, output: caught.append(output))
    asked = asked_about(features, numbers, each, 0, vocabulary).to(model.device)
    visual = projector(features(numbers).to(model.device))
    hidden_states(model, visual, asked, OPENING, window_places(features, numbers))
    hook.remove()
    states = caught[0]
    begins = asked.ids == vocabulary["ASSISTANT:"]
    return states.flatten(0, 1), states[:, -asked.ids.shape[1] :][begins]


@torch.no_grad()
def with_lookups(
    source: LlavaForConditionalGeneration,
    left: Tensor,
    beginning: Tensor,
    names: Mapping[int, Tensor],
    groups: Mapping[int, Tensor],
) -> LlavaForConditionalGeneration:
    """A model with `LOOKUPS` layers behind those of `source`, and new words that these look up.

    left, beginning: `residuals` of `source`. names, groups: of new words by their numbers, the
    direction `[H]`, of length 1, in which patches say it.
    """
    config: Any = LlavaConfig.from_dict(source.config.to_dict())
    config.text_config.num_hidden_layers += LOOKUPS
    model: Any = LlavaForConditionalGeneration._from_config(config, attn_implementation="sdpa")
    model.load_state_dict(source.state_dict(), strict=False)
    model.generation_config = source.generation_config

    unit = F.normalize(left, dim=1)
    mark = torch.linalg.eigh(unit.T @ unit).eigenvectors[:, 0]  # of which nothing has anything
    for number, direction in {**names, **groups}.items():
        said = _SAID * direction + (1 - _SAID**2) ** 0.5 * mark
        model.get_input_embeddings().weight[number] = NORM * said
    apart = _apart(left)
    begins = F.normalize(F.normalize(beginning, dim=1).mean(dim=0) @ apart, dim=0)

    by_group = _axes(torch.stack(list(groups.values())) @ apart)
    by_name = torch.stack(list(names.values())) @ apart
    by_name = _axes(by_name - by_name @ by_group.T @ by_group)
    finding, handing = model.model.language_model.layers[-LOOKUPS:]
    for layer in (finding, handing):
        _copy(layer)
    rows = _slow_rows(model)
    share = len(rows[0]) - len(by_group) - 1  # names are many, so each head tells some apart
    for number, own in enumerate(rows):
        names_of_head = by_name[number * share : (number + 1) * share]
        content = torch.cat([SHARP["groups"] * by_group, SHARP["names"] * names_of_head])
        _set(finding, own[: len(content)], content, content)
        _set(finding, own[-1:], SHARP["never"] * mark, -SHARP["never"] * mark)
        spread = SHARP["words"] * F.normalize(torch.randn(len(own)), dim=0)[:, None]
        _set(handing, own, spread * begins, spread * mark)
    return model


def _apart(left: Tensor) -> Tensor:
    """Projection `[H, H]` that leaves out what all tokens have in common or vary in most."""
    mean = left.mean(dim=0)
    varied = torch.linalg.eigh((left - mean).T @ (left - mean)).eigenvectors[:, -4:]
    basis = torch.linalg.qr(torch.cat([mean[:, None], varied], dim=1)).Q
    return torch.eye(len(mean), device=left.device) - basis @ basis.T


def _axes(directions: Tensor) -> Tensor:
    """Orthonormal axes `[K, H]` in which the directions differ, the most telling first."""
    found = torch.linalg.svd(directions - directions.mean(dim=0), full_matrices=False)
    return found.Vh[: int((found.S / found.S[0]).gt(1e-3).sum())]


def _copy(layer: Any) -> None:
    """What a token attends to is added to it as it is; the MLP adds nothing."""
    width = layer.self_attn.v_proj.weight.shape[0]
    turn = torch.linalg.qr(torch.randn(width, width)).Q
    layer.self_attn.v_proj.weight.copy_(turn)
    layer.self_attn.o_proj.weight.copy_(COPIED * turn.T)
    layer.mlp.down_proj.weight.zero_()


def _set(layer: Any, rows: Sequence[int], queries: Tensor, keys: Tensor) -> None:
    layer.self_attn.q_proj.weight[rows] = queries
    layer.self_attn.k_proj.weight[rows] = keys


def _slow_rows(model: Any) -> list[list[int]]:
    """Of every head the rows of its projections that turn least with the place."""
    text = model.config.text_config
    half = text.head_dim // 2
    slow = [*range(half - SLOWEST, half), *range(2 * half - SLOWEST, 2 * half)]
    return [
        [head * text.head_dim + row for row in slow] for head in range(text.num_attention_heads)
    ]
