"""What a method inside the language model cannot do, refused before or while a prompt is read."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vzlib.methods.inside.pruned_pass import check_language_model
from vzlib.methods.inside.schedule import Fitted, Inside, layer_average, visual_by_layer
from vzlib.tokens import Budget

# What `generate` can be asked for, and why it cannot be done.
REFUSED = {
    "prompt_lookup_num_tokens": "takes back tokens from the cache",
    "assistant_model": "takes back tokens from the cache",
    "assistant_early_exit": "takes back tokens from the cache",
    "prefill_chunk_size": "reads the prompt in pieces, and its end chooses",
}


def chosen_inside(
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


def check_generate(method: Inside, usual: Any, options: Mapping[str, Any]) -> None:
    """Raise ValueError for options of `generate` that a pruned model cannot meet.

    usual: the model's generation config, which counts where the options name none.
    """
    config = options.get("generation_config") or usual
    for name, reason in REFUSED.items():
        if options.get(name, getattr(config, name, None)) is not None:
            raise ValueError(f"{method.name} cannot generate with {name}, which {reason}")
    if options.get("use_cache", getattr(config, "use_cache", None)) is False:
        raise ValueError(
            f"{method.name} cannot generate with use_cache=False, which would read the prompt "
            "anew for each word and choose other tokens"
        )


def check_forward(method: Inside, options: Mapping[str, Any]) -> None:
    """Raise ValueError for labels."""
    if options.get("labels") is not None:
        raise ValueError(
            f"{method.name} cannot take labels: the end of the prompt chooses, and with the answer "
            "behind it that would be the answer's"
        )


def check_mask(mask: Any, cache: Any, method: Inside) -> Tensor | None:
    """`[B, C]` bool, False for padding and what is not there yet; None if all is there.

    Raises ValueError for a mask that is not of padding.
    """
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


def check_words(visual: Tensor, valid: Tensor | None, past: int, method: Inside) -> Tensor:
    """`[B, S]` bool, the text behind the last image of each prompt.

    past: tokens that the cache holds. Raises ValueError for a prompt that ends with its image.
    """
    words = visual.flip(1).cumsum(dim=1).flip(1) == 0
    if valid is not None:
        words &= valid[:, past : past + visual.shape[1]]
    if not bool((words.any(dim=1) | ~visual.any(dim=1)).all()):
        raise ValueError(
            f"{method.name} chooses by what is asked: text must follow the last image of a prompt"
        )
    return words
