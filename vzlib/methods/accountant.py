"""What a method costs: visual tokens at the language model's input and per layer, and FLOPs.

Published comparisons name budgets by the layer average ("retain 64"), users pay for memory by the
input and for compute by what enters each layer; a method inside the language model differs in all
three from one before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vzlib.methods.inside.schedule import Inside, layer_average, visual_by_layer


@dataclass(frozen=True)
class Account:
    """Visual tokens and prefill cost of one prompt.

    by_layer: visual tokens that enter each layer. flops: of the prefill, see `prefill_flops`.
    """

    by_layer: tuple[int, ...]
    flops: int

    @property
    def at_input(self) -> int:
        """Visual tokens handed to the language model."""
        return self.by_layer[0]

    @property
    def average(self) -> float:
        """Visual tokens per layer: what "retain 64" means in the field."""
        return layer_average(self.by_layer)

    @property
    def average_of_outputs(self) -> float:
        """The same as the released SparseVLM counts it: what leaves each layer."""
        return layer_average(self.by_layer, "outputs")

    def __str__(self) -> str:
        return (
            f"{self.at_input} visual tokens at the input, {self.average:.1f} per layer, "
            f"{self.flops / 1e9:.3g} GFLOPs to prefill"
        )


def account(model: Any, *, text: int, visual: int, method: Inside | None = None) -> Account:
    """The cost of a prompt with `text` other tokens and `visual` visual ones at the input.

    model: a vision-language model or its config, or that of a Llama.
    visual: after a reduction before the language model, if there is one.
    method: a reduction inside the language model. A rank-adaptive one has no count before it has
        run: give `account_of` what `Pruned.counts` says.
    Raises ValueError for negative numbers, and what the method raises for a shape it does not fit.
    """
    if text < 0 or visual < 1:
        raise ValueError(f"text={text} must be at least 0 and visual={visual} at least 1")
    layers = _text_config(model).num_hidden_layers
    stages = () if method is None else method.stages(layers, visual)
    return account_of(model, text=text, by_layer=visual_by_layer(stages, layers, visual))


def account_prompts(
    model: Any, inputs: Mapping[str, Any], method: Inside | None = None
) -> list[Account]:
    """The cost of each prompt in what a processor, stock or zipped, made for a model.

    Visual are the placeholders of images and videos, newlines among them; separators around and
    between views are text, as the language model reads them. Padding counts as nothing.

    inputs: input_ids [B, S], and attention_mask if there is padding.
    Raises ValueError for a prompt without visual tokens, and as `account`.
    """
    config = getattr(model, "config", model)
    tokens = [config.image_token_id, getattr(config, "video_token_id", None)]
    ids = inputs["input_ids"].tolist()
    mask = inputs.get("attention_mask")
    real = [[1] * len(row) for row in ids] if mask is None else mask.tolist()
    found = []
    for row, here in zip(ids, real, strict=True):
        read = [token for token, counts in zip(row, here, strict=True) if counts]
        visual = sum(token in tokens for token in read)
        found.append(account(model, text=len(read) - visual, visual=visual, method=method))
    return found


def account_of(model: Any, *, text: int, by_layer: Sequence[int]) -> Account:
    """The cost of a prompt with `text` other tokens and this many visual ones in each layer.

    Raises ValueError if `by_layer` does not name every layer.
    """
    config = _text_config(model)
    if len(by_layer) != config.num_hidden_layers:
        raise ValueError(f"{len(by_layer)} counts for {config.num_hidden_layers} layers")
    lengths = [text + visual for visual in by_layer]
    flops = prefill_flops(lengths, config.hidden_size, config.intermediate_size)
    return Account(tuple(by_layer), flops)


def prefill_flops(lengths: Sequence[int], width: int, inner: int) -> int:
    """Sum over layers of 4 n d^2 + 2 n^2 d + 2 n d m (Sec. 2.1), n the tokens in each layer.

    width, inner: d of the hidden states, m of the feed-forward part. As in the paper, a multiply
    and an add count as one, the feed-forward part has two matrices (a Llama's has three), and
    neither the choice of tokens nor the vocabulary counts.
    """
    return sum(4 * n * width**2 + 2 * n**2 * width + 2 * n * width * inner for n in lengths)


def _text_config(model: Any) -> Any:
    return getattr(model, "config", model).get_text_config()
