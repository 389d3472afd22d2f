"""Methods inside the language model, under whatever a stock model is called by.

One method does it, `forward` of the language model: it prunes if there are images, goes on as the
cache says behind a prompt that was pruned, and otherwise is the stock one. Where the images are is
told by the core's `get_placeholder_mask`, within its `forward`. A prompt's images are chosen from
together, by the text behind the last of them. `generate` and `forward` of the whole model are only
asked first whether it can be: a method chooses once, by the end of a prompt that is read as a
whole, and what has left cannot come back.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache
from transformers.modeling_outputs import BaseModelOutputWithPast
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from vzlib.methods.inside.memory import memory_of
from vzlib.methods.inside.pruned_pass import pruning_of, run_layers, visual_places
from vzlib.methods.inside.schedule import Inside
from vzlib.models.inside_checks import check_forward, check_generate, check_mask, check_words
from vzlib.models.overrides import Layer, Override, found, put

# Of this thread: the core whose forward is running, and where images are in what it was given.
_running: ContextVar[tuple[Any, list[Tensor]] | None] = ContextVar("running", default=None)
_last: WeakKeyDictionary[nn.Module, "Entered"] = WeakKeyDictionary()


class Entered(NamedTuple):
    """Which visual tokens entered each layer, in the last prompts that were read with images.

    places: for each layer `[B, n]`, counted over all images of a prompt in the order in which the
    language model is given them, ascending, and -1 behind the last where other prompts have more.
    """

    places: tuple[Tensor, ...]

    @property
    def counts(self) -> Tensor:
        """`[B, L]`, how many entered each layer."""
        return torch.stack([(place >= 0).sum(dim=1) for place in self.places], dim=1)

    @property
    def average(self) -> Tensor:
        """`[B]`, visual tokens of a prompt per layer."""
        return self.counts.double().mean(dim=1)


def last_entered(core: nn.Module) -> Entered | None:
    """What the last prompts with images that this part of a model read came to."""
    return _last.get(core)


def lay(model: Any, method: Inside, seed: int) -> list[tuple[Override, Layer]]:
    """Let a model prune until these layers are taken away."""
    core = model.base_model
    places: list[tuple[Any, str, Layer]] = [
        (core, "forward", partial(scoped)),  # one of its own, so that it alone is taken away
        (core, "get_placeholder_mask", partial(placeholders)),
        (core.get_decoder(), "forward", partial(pruned, method, seed)),
        (model, "forward", partial(trained, method)),
        (model, "generate", partial(asked_for, method)),
    ]
    return [(put(module, name, layer), layer) for module, name, layer in places]


def lay_aside(module: Any, name: str) -> list[tuple[Override, Layer]]:
    """Let a method be the stock one, whatever layers lie over it now; nothing if there are none."""
    override, layer = found(module, name), partial(_stock, name)
    return [] if override is None else [(put(module, name, layer), layer)]


def _stock(
    name: str, below: Callable[..., Any], module: Any, *arguments: Any, **options: Any
) -> Any:
    override = found(module, name)
    return (below if override is None else override.stock)(module, *arguments, **options)


def prunes(language_model: Any) -> bool:
    """Whether a language model prunes now."""
    override = found(language_model, "forward")
    kinds = [getattr(layer, "func", None) for layer in (override.layers if override else ())]
    ours = [kind for kind in kinds if kind in (pruned, _stock)]
    return bool(ours) and ours[-1] is pruned


def scoped(below: Callable[..., Any], core: Any, *arguments: Any, **options: Any) -> Any:
    """A layer over `forward` of the core."""
    with _scope(core):
        return below(core, *arguments, **options)


@contextmanager
def _scope(core: Any) -> Iterator[None]:
    token = _running.set((core, []))
    try:
        yield
    finally:
        _running.reset(token)


def placeholders(below: Callable[..., Any], core: Any, *arguments: Any, **options: Any) -> Any:
    """A layer over `get_placeholder_mask` of the core."""
    mask = below(core, *arguments, **options)
    running = _running.get()
    if running is not None and running[0] is core:
        every = mask if isinstance(mask, tuple) else (mask,)
        running[1].extend(one[..., 0] for one in every if one is not None)
    return mask


def asked_for(
    method: Inside, below: Callable[..., Any], model: Any, *arguments: Any, **options: Any
) -> Any:
    """A layer over `generate` of the model."""
    if prunes(model.base_model.get_decoder()):
        check_generate(method, model.generation_config, options)
    return below(model, *arguments, **options)


def trained(
    method: Inside, below: Callable[..., Any], model: Any, *arguments: Any, **options: Any
) -> Any:
    """A layer over `forward` of the model."""
    if prunes(model.base_model.get_decoder()):
        check_forward(method, options)
    return below(model, *arguments, **options)


def pruned(
    method: Inside,
    seed: int,
    below: Callable[..., Any],
    language_model: Any,
    input_ids: Tensor | None = None,
    attention_mask: Any = None,
    position_ids: Tensor | None = None,
    past_key_values: Any = None,
    inputs_embeds: Tensor | None = None,
    use_cache: bool | None = None,
    **options: Any,
) -> Any:
    """A layer over `forward` of the language model.

    The last hidden states are those of all tokens that came in, 0 for those that have left.
    Raises ValueError where no text follows the last image, and for masks that are not of padding.
    """
    name = "cache" if "cache" in options else "past_key_values"  # as of transformers 5.24
    cache = options.pop("cache", past_key_values)
    running = _running.get()
    core, visual = (None, []) if running is None else running
    given = inputs_embeds if input_ids is None else input_ids
    if given is None or (not visual and memory_of(cache, len(given)) is None):
        return below(
            language_model,
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            **{name: cache},
            **options,
        )
    return _forward(
        language_model,
        choice=(method, seed),
        core=core,
        visual=torch.stack(visual).any(dim=0) if visual else None,
        embeds=language_model.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds,
        mask=attention_mask,
        positions=position_ids,
        cache=cache,
        use_cache=use_cache,
        **options,
    )


@merge_with_config_defaults
@capture_outputs
def _forward(
    language_model: Any,
    *,
    choice: tuple[Inside, int],
    core: Any,
    visual: Tensor | None,
    embeds: Tensor,
    mask: Any,
    positions: Tensor | None,
    cache: Any,
    use_cache: bool | None,
    **options: Any,
) -> BaseModelOutputWithPast:
    method, seed = choice
    if use_cache and cache is None:
        cache = DynamicCache(config=language_model.config)
    length = embeds.shape[1]
    valid = check_mask(mask, cache, method)
    if positions is None:
        past = 0 if cache is None else cache.get_seq_length()
        positions = (torch.arange(length, device=embeds.device) + past).unsqueeze(0)
    pruning = None
    if visual is not None:
        past = 0 if cache is None else int(cache.get_seq_length())
        words = check_words(visual, valid, past, method)
        layers = len(language_model.layers)
        pruning = pruning_of(method, layers, embeds, visual, words, seed)
    passed = run_layers(
        language_model,
        embeds,
        positions,
        cache=cache,
        valid=valid,
        mask=mask,
        pruning=pruning,
        **options,
    )
    hidden, columns = passed.hidden, passed.columns[-1]
    if visual is not None:
        _last[core] = Entered(visual_places(visual, passed.columns))
    if hidden.shape[1] < length or (columns < 0).any():
        rows, places = (columns >= 0).nonzero(as_tuple=True)
        everywhere = hidden.new_zeros(embeds.shape)
        hidden = everywhere.index_put((rows, columns[rows, places]), hidden[rows, places])
    return BaseModelOutputWithPast(last_hidden_state=hidden, past_key_values=cache)
