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
def embedded(model, inputs):
    """Embeddings `[1, S, D]` of one prompt, and which are visual `[S]`."""
    ids = inputs["input_ids"]
    image, embeds = ids == model.config.image_token_id, model.get_input_embeddings()(ids)
    features = model.model.get_image_features(inputs["pixel_values"]).pooler_output
    return embeds.masked_scatter(image.unsqueeze(-1), torch.cat(tuple(features))), image[0]


@torch.no_grad()
def masked_forward(language_model, hidden, visual, ends, method, seed=0):
    """(last hidden states `[1, S, D]`, which visual tokens enter each layer) of one conversation.

    hidden: `[1, S, D]`. visual: `[S]`. ends: of each turn, at which its prompt ends and chooses
    from the visual tokens it brought; what follows has no vote.
    """
    length, layers = hidden.shape[1], len(language_model.layers)
    turns, start = [], 0
    for end in ends:
        own = [place for place in range(start, end) if visual[place]]
        if own:
            text = torch.arange(own[-1] + 1, end)
            words = torch.ones(1, len(text), dtype=torch.bool)
            votes = method.raters(hidden[:, own], hidden[:, text], words)[0]
            stages = {stage.layer: stage for stage in method.stages(layers, len(own))}
            turns.append((own, text[votes].tolist(), stages))
        start = end
    rotation = language_model.rotary_emb(hidden, torch.arange(length)[None])
    present = torch.ones(length, dtype=torch.bool)
    entered, before = [], None
    for index, layer in enumerate(language_model.layers):
        for own, voters, stages in turns:
            if index in stages:
                stage = stages[index]
                if stage.votes_of == index:
                    voted = attention_map(layer, hidden, rotation, mask_of(present))
                else:
                    voted = before
                hidden = drop(hidden, present, voted[voters], own, stage, seed)
        entered.append(present[visual].nonzero().squeeze(1))
        mask = mask_of(present)
        before = attention_map(layer, hidden, rotation, mask)
        hidden = layer(hidden, attention_mask=mask, position_embeddings=rotation)
    return language_model.norm(hidden), entered


def mask_of(present):
    visible = torch.ones(len(present), len(present), dtype=torch.bool).tril() & present
    visible |= torch.eye(len(present), dtype=torch.bool)  # a dropped row must not become NaN
    return torch.zeros(visible.shape).masked_fill(~visible, float("-inf"))[None, None]


def drop(hidden, present, rows, own, stage, seed):
    """Changes `present` in place; returns hidden states with recycled averages put in."""
    places = [place for place in own if present[place]]
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
