"""Questions behind frames that the language model prunes; what numbers the frames stays."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache

from vzlib.experiments.video.prompts import Prefix
from vzlib.methods.inside.pruned_pass import Front, Pruning, groups_of, run_layers, visual_places
from vzlib.methods.inside.pruned_prefill import open_prompt
from vzlib.methods.inside.schedule import Inside
from vzlib.models.answer import prompt


class Told(NamedTuple):
    """One question: whether greedy decoding gives exactly the answer, and tokens per layer."""

    right: bool
    average: float


@torch.no_grad()
def answered(
    model: Any,
    processor: Any,
    shown: Prefix,
    asked: Sequence[tuple[str, str]],
    method: Inside,
    seed: int,
) -> list[Told]:
    """As `vzlib.evaluation.judging.judge`, where text stands between the visual tokens.

    asked: (question, answer) pairs. The question alone chooses; the true answer follows it, and
    each of its tokens must be the most likely one.
    """
    device, language_model = shown.embeds.device, model.base_model.language_model
    rows = [_tokens(processor, *pair) for pair in asked]
    before = torch.tensor(rows[0].before, device=device)
    embed = model.get_input_embeddings()
    opening = torch.cat([embed(before).unsqueeze(0), shown.embeds], dim=1)
    place = torch.cat([torch.zeros_like(before, dtype=torch.bool), shown.visual])
    batch, count, layers = len(rows), int(place.sum()), len(language_model.layers)
    texts = [torch.tensor(row.text[:-1], device=device) for row in rows]
    text = embed(pad_sequence(texts, batch_first=True))
    length = text.shape[1]
    visual = torch.cat([place, place.new_zeros(length)]).expand(batch, -1)
    asking = torch.tensor([row.question for row in rows], device=device)
    words = torch.arange(length, device=device) < asking.unsqueeze(1)
    raters = method.raters(opening[:, place].expand(batch, -1, -1), text, words)
    groups = groups_of(method, layers, [count] * batch)
    join = min(groups[0].stages)
    opened = open_prompt(language_model, opening, len(before), join)
    cache = DynamicCache(config=language_model.config)
    for index, (keys, values) in enumerate(opened.memory):
        each = (batch, -1, -1, -1)
        cache.update(keys.expand(each), values.expand(each), index)
    passed = run_layers(
        language_model,
        text,
        torch.arange(len(place) + length, device=device).unsqueeze(0),
        cache=cache,
        pruning=Pruning(visual, raters, groups, seed),
        front=Front(join, opened.hidden[join].expand(batch, -1, -1)),
    )
    best = model.lm_head(passed.hidden[:, -length:]).argmax(-1).cpu()
    entered = visual_places(visual, passed.columns)
    averages = torch.stack([(place >= 0).sum(dim=1) for place in entered]).double().mean(dim=0)
    found = []
    for number, row in enumerate(rows):
        said = best[number, row.question - 1 : len(row.text) - 1].tolist()
        found.append(Told(said == row.text[row.question :], float(averages[number])))
    return found


class _Asked(NamedTuple):
    before: list[int]  # what opens the prompt
    text: list[int]  # behind the images, with the answer
    question: int  # tokens of it that are the prompt


def _tokens(processor: Any, question: str, answer: str) -> _Asked:
    tokenizer = processor.tokenizer
    bare = tokenizer(prompt(processor, question))["input_ids"]
    full = tokenizer(f"{prompt(processor, question)} {answer}")["input_ids"]
    at = full.index(tokenizer.convert_tokens_to_ids(processor.image_token))
    return _Asked(full[:at], [*full[at + 1 :], tokenizer.eos_token_id], len(bare) - at - 1)
