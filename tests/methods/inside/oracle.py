"""Pruning as masking: every token stays in place, and later layers may not look at the dropped.

Attention maps are computed whole and choices are made here again, with plain sorting.
"""

import torch
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb, repeat_kv

from vzlib.methods.inside.reduction import cluster
from vzlib.methods.inside.schedule import clusters, recycled_candidates


def attention_map(layer, hidden, rotation, mask):
    """[S, S] of one prompt, mean over heads."""
    attention = layer.self_attn
    entering = layer.input_layernorm(hidden)
    split = (1, hidden.shape[1], -1, attention.head_dim)
    queries = attention.q_proj(entering).view(split).transpose(1, 2)
    keys = attention.k_proj(entering).view(split).transpose(1, 2)
    queries, keys = apply_rotary_pos_emb(queries, keys, *rotation)
    keys = repeat_kv(keys, attention.num_key_value_groups)
    logits = queries @ keys.transpose(2, 3) * attention.scaling + mask
    return logits.softmax(-1).mean(1)[0]


@torch.no_grad()
def masked_forward(language_model, prompt, method, seed=0):
    """(last hidden states of the text `[1, T, D]`, which visual tokens enter each layer)."""
    hidden = torch.cat([prompt.opening, prompt.text], dim=1)
    length, text = hidden.shape[1], prompt.text.shape[1]
    end = length - text
    visual = end - prompt.image
    asked = int(prompt.asked[0])
    stages = {stage.layer: stage for stage in method.stages(len(language_model.layers), visual)}
    words = torch.arange(text) < prompt.asked.unsqueeze(1)
    voters = method.raters(prompt.opening[:, prompt.image :], prompt.text, words)[0]
    voters = [end + index for index in range(asked) if voters[index]]
    rotation = language_model.rotary_emb(hidden, torch.arange(length)[None])
    present = torch.ones(length, dtype=torch.bool)
    entered, before = [], None
    for index, layer in enumerate(language_model.layers):
        if index in stages:
            stage = stages[index]
            if stage.votes_of == index:
                voted = attention_map(layer, hidden, rotation, mask_of(present))
            else:
                voted = before
            hidden = drop(hidden, present, voted[voters], prompt.image, end, stage, seed)
        entered.append(present[prompt.image : end].nonzero().squeeze(1))
        mask = mask_of(present)
        before = attention_map(layer, hidden, rotation, mask)
        hidden = layer(hidden, attention_mask=mask, position_embeddings=rotation)
    return language_model.norm(hidden)[:, end:], entered


def mask_of(present):
    visible = torch.ones(len(present), len(present), dtype=torch.bool).tril() & present
    visible |= torch.eye(len(present), dtype=torch.bool)  # a dropped row must not become NaN
    return torch.zeros(visible.shape).masked_fill(~visible, float("-inf"))[None, None]


def drop(hidden, present, rows, start, end, stage, seed):
    """Changes `present` in place; returns hidden states with recycled averages put in."""
    places = [place for place in range(start, end) if present[place]]
    rows = rows[:, places]
    keep = stage.keep if isinstance(stage.keep, int) else stage.keep(rows)
    if keep >= len(places):
        return hidden
    ranked = sorted(range(len(places)), key=lambda i: -rows[:, i].mean().item())
    dropped = [places[i] for i in ranked[keep:]]
    present[dropped] = False
    if not stage.recycles:
        return hidden
    recycled = sorted(dropped[: recycled_candidates(len(dropped))])
    centres, nearest = cluster(hidden[:, recycled], clusters(len(dropped)), seed)
    averaged = hidden.clone()
    for number, centre in enumerate(centres[0].tolist()):
        members = [recycled[i] for i in range(len(recycled)) if nearest[0, i] == number]
        averaged[0, recycled[centre]] = hidden[0, members].mean(0)
        present[recycled[centre]] = True
    return averaged
