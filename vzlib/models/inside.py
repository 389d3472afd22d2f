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
from vzlib.methods.inside.pruned_pass import (
    check_language_model,
    pruning_of,
    run_layers,
    visual_places,
)
from vzlib.methods.inside.schedule import Fitted, Inside, layer_average, visual_by_layer
from vzlib.models.overrides import Layer, Override, found, put
from vzlib.tokens import Budget

# Of this thread: the core whose forward is running, and where images are in what it was given.
_running: ContextVar[tuple[Any, list[Tensor]] | None] = ContextVar("running", default=None)
_last: WeakKeyDictionary[nn.Module, "Entered"] = WeakKeyDictionary()

# What `generate` can be asked for, and why it cannot be done.
REFUSED = {
    "prompt_lookup_num_tokens": "takes back tokens from the cache",
    "assistant_model": "takes back tokens from the cache",
    "assistant_early_exit": "takes back tokens from the cache",
    "prefill_chunk_size": "reads the prompt in pieces, and its end chooses",
}


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
        (core.language_model, "forward", partial(pruned, method, seed)),
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


def chosen(
    language_model: Any,
    method: Inside,
    budget: Budget | None,
    retain: float | None,
    visual: int | None,
) -> tuple[Inside, Fitted | None]:
    """A method for a wanted layer average, and what it really spends.

    retain: visual tokens of an image per layer on average; None for the method as it is.
    visual: those that an image has, the largest where images differ; the same share of others
    stays. None if there is no largest. What is spent is None where it depends on the prompt.
    Raises ValueError for a language model that cannot be pruned, a budget beside the method, and a
    retain that is no number, beside a hyper-parameter that follows from it, or of a method that
    meets none; BudgetError, naming the nearest, for one that is out of reach.
    """
    try:
        check_language_model(language_model)
    except ValueError as error:
        raise ValueError(f"{method.name} {error}") from None
    if budget is not None:
        raise ValueError(f"with a method give retain, such as retain=64, not budget={budget!r}")
    if visual is None and retain is not None:
        raise ValueError(
            f"{method.name} cannot retain={retain} of images that may have any number of tokens: "
            "give the hyper-parameters that decide on shares instead"
        )
    if visual is None:
        return method, None
    shape = (len(language_model.layers), visual)
    if retain is None:
        stages = method.stages(*shape)
        if any(callable(stage.keep) for stage in stages):
            return method, None
        average = layer_average(visual_by_layer(stages, *shape))
        return method, Fitted(method, average, average)
    if isinstance(retain, bool) or not isinstance(retain, int | float) or not retain > 0:
        raise ValueError(f"retain={retain!r} must be a number of tokens, such as retain=64")
    if not hasattr(method, "for_average"):
        raise ValueError(
            f"{method.name} lets the prompt decide how many tokens stay: leave retain={retain} out"
        )
    usual = type(method)()
    if set_ := [name for name in method.fitted if getattr(method, name) != getattr(usual, name)]:
        raise ValueError(
            f"{method.name}: {' and '.join(set_)} cannot be set beside retain={retain}, which "
            "decides it; leave one of them out"
        )
    fitted: Fitted = method.for_average(retain, *shape)
    return fitted.method, fitted


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
    """A layer over `generate` of the model: ValueError for what a pruned model cannot do."""
    if not prunes(model.base_model.language_model):
        return below(model, *arguments, **options)
    config = options.get("generation_config") or model.generation_config
    for name, reason in REFUSED.items():
        if options.get(name, getattr(config, name, None)) is not None:
            raise ValueError(f"{method.name} cannot generate with {name}, which {reason}")
    if options.get("use_cache", getattr(config, "use_cache", None)) is False:
        raise ValueError(
            f"{method.name} cannot generate with use_cache=False, which would read the prompt "
            "anew for each word and choose other tokens"
        )
    return below(model, *arguments, **options)


def trained(
    method: Inside, below: Callable[..., Any], model: Any, *arguments: Any, **options: Any
) -> Any:
    """A layer over `forward` of the model: ValueError for labels."""
    if options.get("labels") is not None and prunes(model.base_model.language_model):
        raise ValueError(
            f"{method.name} cannot take labels: the end of the prompt chooses, and with the answer "
            "behind it that would be the answer's"
        )
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
    running = _running.get()
    core, visual = (None, []) if running is None else running
    given = inputs_embeds if input_ids is None else input_ids
    if given is None or (not visual and memory_of(past_key_values, len(given)) is None):
        return below(
            language_model,
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
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
        cache=past_key_values,
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
    valid = _valid(mask, cache, method)
    if positions is None:
        past = 0 if cache is None else cache.get_seq_length()
        positions = (torch.arange(length, device=embeds.device) + past).unsqueeze(0)
    pruning = None
    if visual is not None:
        words = _behind(visual, valid, 0 if cache is None else int(cache.get_seq_length()), method)
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


def _valid(mask: Any, cache: Any, method: Inside) -> Tensor | None:
    """`[B, C]` bool, False for padding and what is not there yet; None if all is there."""
    if mask is None:
        return None
    valid = mask
    if isinstance(mask, Tensor) and mask.ndim == 4 and getattr(cache, "is_compileable", False):
        # As `generate` makes them for static caches. The last token sees all that is no padding.
        valid = mask[:, 0, -1] if mask.dtype == torch.bool else mask[:, 0, -1] == 0
    if not isinstance(valid, Tensor) or valid.ndim != 2:
        kind = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(
            f"{method.name} makes the masks of layers from an attention_mask of padding [B, S], "
            f"not {kind}"
        )
    valid = valid.bool()
    if not torch.compiler.is_compiling() and bool(valid.all()):
        return None
    return valid


def _behind(visual: Tensor, valid: Tensor | None, past: int, method: Inside) -> Tensor:
    """`[B, S]` bool, the text behind the last image of each prompt."""
    words = visual.flip(1).cumsum(dim=1).flip(1) == 0
    if valid is not None:
        words &= valid[:, past : past + visual.shape[1]]
    if not bool((words.any(dim=1) | ~visual.any(dim=1)).all()):
        raise ValueError(
            f"{method.name} chooses by what is asked: text must follow the last image of a prompt"
        )
    return words
