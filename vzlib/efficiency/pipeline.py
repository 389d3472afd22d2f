"""A LLaVA from pixels to words, stage by stage, with all visual tokens or with fewer.

Every variant runs the stock layers of transformers in the same plain loop of greedy decoding, so
that they differ in what the method does and in nothing else.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vzlib.efficiency import usual_way
from vzlib.efficiency.geometry import IMAGE_TOKEN
from vzlib.efficiency.timing import Variant
from vzlib.methods.fastv import FastV
from vzlib.methods.inside.pruned_prefill import next_hidden, open_prompt, pruned_prefill
from vzlib.methods.inside.schedule import Fitted, Inside, OutOfReach
from vzlib.methods.sparsevlm import SparseVLM
from vzlib.models.compiled_prefill import compiled_prefill
from vzlib.models.towers import encode
from vzlib.tokens import Budget, select_and_merge

STAGES = ("tower", "select + merge", "projector", "prefill", "decode")
FIRST_TOKEN = STAGES[:4]  # what one waits for until the first word


class Request(NamedTuple):
    """One image and a question about it.

    pixels: [V, 3, H, W], its views. before, after: [1, P] and [1, T], ids around the image.
    new_tokens: words to say.
    """

    pixels: Tensor
    before: Tensor
    after: Tensor
    new_tokens: int


def request(model: Any, views: int, *, before: int, after: int, new_tokens: int) -> Request:
    """A request of random pixels and words, of so many views and tokens, on the model's device."""
    vision = model.config.vision_config
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(views, 3, vision.image_size, vision.image_size, generator=generator)
    words = torch.randint(1, IMAGE_TOKEN, (1, before + after), generator=generator)
    words = words.to(model.device)
    pixels = pixels.to(model.device, model.dtype)
    return Request(pixels, words[:, :before], words[:, before:], new_tokens)


def vanilla(model: Any, asked: Request) -> Variant:
    """All visual tokens, as the stock model runs: every layer of the tower, SDPA attention."""

    @torch.no_grad()
    def run() -> Iterator[str]:
        hidden = stock_features(model.model.vision_tower, asked.pixels)
        yield "tower"
        visual = model.model.multi_modal_projector(hidden)
        yield "projector"
        yield from _answer(model, visual, asked)

    return run


def visionzip(model: Any, asked: Request, budget: Budget) -> Variant:
    """VisionZip with this budget for each view."""

    @torch.no_grad()
    def run() -> Iterator[str]:
        evidence = encode(model.model.vision_tower, asked.pixels)
        yield "tower"
        tokens = select_and_merge(*evidence, budget).tokens
        yield "select + merge"
        visual = model.model.multi_modal_projector(tokens)
        yield "projector"
        yield from _answer(model, visual, asked)

    return run


def visionzip_usual(model: Any, asked: Request, budget: Budget) -> Variant:
    """VisionZip the way it is usually done, see `vzlib.efficiency.usual_way`."""

    @torch.no_grad()
    def run() -> Iterator[str]:
        kept = usual_way.encode(model.model.vision_tower, asked.pixels)
        yield "tower"
        tokens, _ = usual_way.select_and_merge(*kept.layer, budget)
        yield "select + merge"
        visual = model.model.multi_modal_projector(tokens)
        yield "projector"
        yield from _answer(model, visual, asked)

    return run


def inside(model: Any, asked: Request, pruning: Inside) -> Variant:
    """All visual tokens up to the language model, which prunes; that belongs to its prefill."""

    @torch.no_grad()
    def run() -> Iterator[str]:
        hidden = stock_features(model.model.vision_tower, asked.pixels)
        yield "tower"
        visual = model.model.multi_modal_projector(hidden)
        yield "projector"
        language, embed = model.model.language_model, model.get_input_embeddings()
        before, after = embed(asked.before), embed(asked.after)
        embeds = torch.cat([before, visual.flatten(0, 1).unsqueeze(0)], dim=1)
        opening = open_prompt(language, embeds, before.shape[1])
        pruned = pruned_prefill(language, opening, after, pruning)
        word = model.lm_head(pruned.hidden[:, -1:]).argmax(dim=-1)
        yield "prefill"
        for step in range(asked.new_tokens - 1):
            hidden = next_hidden(language, embed(word), pruned.length + step, pruned.cache)
            word = model.lm_head(hidden).argmax(dim=-1)
        yield "decode"

    return run


def compiled(model: Any, variant: Variant, backend: str = "inductor") -> Variant:
    """A variant of this model with its prefill compiled; the others keep the stock one.

    Compiling falls to the first run, which must be a warm-up. backend: as of torch.compile.
    """
    prefill = compiled_prefill(model, backend=backend, attach=False)

    def run() -> Iterator[str]:
        with prefill:
            yield from variant()

    return run


def schedule(name: str, average: float, layers: int, visual: int) -> Fitted:
    """FastV's or SparseVLM's schedule with this layer average, or the nearest that it can do."""
    fitting: Any = {"fastv": FastV, "sparsevlm": SparseVLM}[name]()
    try:
        return fitting.for_average(average, layers, visual)
    except OutOfReach as error:
        return error.nearest


def stock_features(tower: Any, pixels: Tensor) -> Tensor:
    """Patches [V, S, D] of the last layer but one, as stock LLaVA takes them."""
    output = tower(pixels, output_hidden_states=-2, return_dict=True)
    return output.hidden_states[-2][:, 1:]


def _answer(model: Any, visual: Tensor, asked: Request) -> Iterator[str]:
    language, embed = model.model.language_model, model.get_input_embeddings()
    embeds = [embed(asked.before), visual.flatten(0, 1).unsqueeze(0), embed(asked.after)]
    output = language(inputs_embeds=torch.cat(embeds, dim=1), use_cache=True)
    word = model.lm_head(output.last_hidden_state[:, -1:]).argmax(dim=-1)
    yield "prefill"
    for _ in range(asked.new_tokens - 1):
        cache = output.past_key_values
        output = language(inputs_embeds=embed(word), past_key_values=cache, use_cache=True)
        word = model.lm_head(output.last_hidden_state).argmax(dim=-1)
    yield "decode"
