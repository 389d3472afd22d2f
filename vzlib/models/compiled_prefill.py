"""A compiled prefill: the first pass of the language model over a prompt, as one graph a length.

On a fast GPU the prefill of a short prompt is bound by Python and by launching kernels. Here it is
compiled, on CUDA with `mode="reduce-overhead"`, that is as CUDA graphs, which want fixed shapes:
a prompt is padded on the left to the next length of BUCKETS, padding is masked, and positions stay
what they were. The keys and values of the prompt itself then go into the cache that the caller
gave, so that `generate` continues as after a stock prefill, whatever decodes. The graph needs no
static cache of its own: what it writes, it returns.

One bound method of one instance changes, the language model's `forward`. It runs the stock forward
wherever the compiled one is not meant: with gradients, behind tokens that are cached already (each
decoding step), with another cache than transformers' DynamicCache, with a mask that is not 2-D or
what else a caller may ask for, beyond the longest bucket, and once GRAPHS graphs are compiled.
"""

import functools
import types
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.cache_utils import DynamicCache
from transformers.modeling_outputs import BaseModelOutputWithPast

BUCKETS = (64, 128, 192, 256, 384, 512, 640, 768, 1024, 1536, 2048, 3072, 4096)
GRAPHS = 16  # combinations of batch size, bucket and mode; each costs compiling and memory


@dataclass
class CompiledPrefill:
    """A model whose prefill is compiled; a context manager that gives back the stock one.

    model: the very instance that was given. buckets: prompt lengths that are compiled, ascending.
    graphs: what has been compiled so far: batch size, bucket and whether in inference mode.
    """

    model: Any
    buckets: tuple[int, ...]
    graphs: set[tuple[int, int, bool]] = field(default_factory=set)
    _before: Any = None

    def undo(self) -> None:
        """Give back the stock prefill; twice is as good as once."""
        undo_compiled_prefill(self.model)

    def __enter__(self) -> "CompiledPrefill":
        return self

    def __exit__(self, *_: object) -> None:
        self.undo()
        if self._before is not None:
            self.model.base_model.language_model.forward = self._before


def compiled_prefill(
    model: Any,
    *,
    buckets: tuple[int, ...] = BUCKETS,
    backend: str | Any = "inductor",
    mode: str | None = None,
) -> CompiledPrefill:
    """Compile the prefill of a LLaVA, zipped or not, until `undo`.

    Outputs differ from the stock ones by rounding, as padding changes the order of sums. The first
    prompt of a bucket and batch size waits for the compiler.

    model: a LlavaForConditionalGeneration with a Llama-like language model.
    buckets: lengths that prompts, visual tokens included, are padded to.
    backend, mode: as of torch.compile; without a mode, "reduce-overhead" on CUDA with inductor.
    Raises ValueError for a model without a language model, or buckets that are no lengths.
    """
    language = getattr(getattr(model, "base_model", None), "language_model", None)
    if language is None:
        raise ValueError(f"{type(model).__name__} has no language model to compile the prefill of")
    if not buckets or any(not isinstance(size, int) or size < 2 for size in buckets):
        raise ValueError(f"buckets={buckets!r} must be lengths of at least 2")
    if mode is None and backend == "inductor" and model.device.type == "cuda":
        mode = "reduce-overhead"
    handle = CompiledPrefill(model, tuple(sorted(set(buckets))))
    handle._before = language.__dict__.get("forward")
    compiled = torch.compile(_prompt, fullgraph=True, dynamic=False, backend=backend, mode=mode)
    forward = _forward(type(language).forward, compiled, handle)
    language.forward = types.MethodType(forward, language)
    return handle


def undo_compiled_prefill(model: Any) -> None:
    """Give back the stock prefill of a model, compiled or not."""
    model.base_model.language_model.__dict__.pop("forward", None)


def _forward(stock: Any, compiled: Any, handle: CompiledPrefill) -> Any:
    @functools.wraps(stock)
    def forward(
        self: Any,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        if inputs_embeds is None and input_ids is not None:
            inputs_embeds, input_ids = self.embed_tokens(input_ids), None
        graph = None
        if (
            inputs_embeds is not None
            and _asks_for_no_more(self.config, kwargs)
            and _is_prompt(inputs_embeds, attention_mask, position_ids, past_key_values)
        ):
            graph = _graph(inputs_embeds, handle)
        if graph is None or inputs_embeds is None:
            return stock(
                self,
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                past_key_values=past_key_values,
                inputs_embeds=inputs_embeds,
                use_cache=use_cache,
                **kwargs,
            )
        batch, length, _ = inputs_embeds.shape
        front = graph[1] - length
        if attention_mask is None:
            attention_mask = inputs_embeds.new_ones(batch, length, dtype=torch.long)
        if position_ids is None:
            position_ids = torch.arange(length, device=inputs_embeds.device).unsqueeze(0)
        if inputs_embeds.device.type == "cuda":
            torch.compiler.cudagraph_mark_step_begin()
        # One code object for all graphs, of which torch would allow eight.
        with torch._dynamo.config.patch(recompile_limit=8 * GRAPHS):
            hidden, cached = compiled(
                self,
                pad(inputs_embeds, (0, 0, front, 0)),
                pad(attention_mask.to(torch.long), (front, 0)),
                # Of one layout, whoever made them, since a graph is of one layout.
                pad(position_ids.expand(batch, -1).contiguous(), (front, 0)),
            )
        if use_cache is None:
            use_cache = self.config.use_cache
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        if past_key_values is not None:
            for layer, (keys, values) in enumerate(cached):
                past_key_values.update(keys[:, :, front:], values[:, :, front:], layer)
        # Copied, as a CUDA graph writes its next results to the same place.
        return BaseModelOutputWithPast(
            last_hidden_state=hidden[:, front:].clone(), past_key_values=past_key_values
        )

    return forward


def _prompt(
    language: Any, inputs_embeds: Tensor, attention_mask: Tensor, position_ids: Tensor
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Hidden states [B, L, D] and each layer's keys and values [B, H, L, d] of padded prompts."""
    cache: Any = DynamicCache()
    output = type(language).forward(
        language,
        inputs_embeds=inputs_embeds,
        attention_mask=attention_mask,
        position_ids=position_ids,
        past_key_values=cache,
        use_cache=True,
    )
    return output.last_hidden_state, [(layer.keys, layer.values) for layer in cache.layers]


def _is_prompt(
    inputs_embeds: Tensor, attention_mask: Any, position_ids: Any, past_key_values: Any
) -> bool:
    """Whether this is the first pass of whole prompts, in a form that the graph takes."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    if past_key_values is not None and (
        type(past_key_values) is not DynamicCache or past_key_values.get_seq_length() > 0
    ):
        return False
    rows = [each for each in (attention_mask, position_ids) if each is not None]
    return inputs_embeds.shape[1] > 1 and all(
        isinstance(each, Tensor) and each.ndim == 2 for each in rows
    )


def _asks_for_no_more(config: Any, options: dict[str, Any]) -> bool:
    """Whether hidden states of the last layer and the cache are all that is wanted."""
    wanted = (config.output_attentions, config.output_hidden_states)
    return not any(wanted) and all(value is None or value is False for value in options.values())


def _graph(inputs_embeds: Tensor, handle: CompiledPrefill) -> tuple[int, int, bool] | None:
    """The graph that takes these prompts, noted as compiled; None if there is to be none."""
    batch, length, _ = inputs_embeds.shape
    bucket = next((size for size in handle.buckets if size >= length), None)
    if bucket is None:
        return None
    graph = (batch, bucket, torch.is_inference_mode_enabled())
    if graph not in handle.graphs and len(handle.graphs) >= GRAPHS:
        return None
    handle.graphs.add(graph)
    return graph
