"""A compiled prefill: the first pass of the language model over a prompt, as one graph a length.

On a fast GPU the prefill of a short prompt is bound by Python and by launching kernels. Here it is
compiled, on CUDA with `mode="reduce-overhead"`, that is as CUDA graphs, which want fixed shapes:
a prompt is padded on the left to the next length of BUCKETS, padding is masked, and positions stay
what they were. The keys and values of the prompt itself then go into the cache that the caller
gave, so that `generate` continues as after a stock prefill, whatever decodes. The graph needs no
static cache of its own: what it writes, it returns.

One method of one instance changes, the language model's `forward` (`vzlib.models.overrides`). It
runs the stock forward wherever the compiled one is not meant: with gradients, behind tokens that
are cached already (each decoding step), with another cache than transformers' DynamicCache, with a
mask that is not 2-D or what else a caller may ask for, beyond the longest bucket, once GRAPHS
graphs are compiled, and where accelerate or FSDP fetches weights for each layer.

transformers 5.24 calls `cache` what was `past_key_values`; both are known here.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.cache_utils import DynamicCache
from transformers.modeling_outputs import BaseModelOutputWithPast

from vzlib.models.inside import prunes
from vzlib.models.overrides import Layer, Override, found, put, take, take_all

BUCKETS = (64, 128, 192, 256, 384, 512, 640, 768, 1024, 1536, 2048, 3072, 4096)
GRAPHS = 16  # combinations of batch size, bucket and mode; each costs compiling and memory


CACHE = ("cache", "past_key_values")  # as transformers names it, newest first


class Graphs:
    """What is compiled. A copy is of the same settings and compiles for itself.

    buckets: prompt lengths that are compiled, ascending. backend, mode: as of torch.compile.
    made: what has been compiled so far: batch size, bucket and whether in inference mode.
    """

    def __init__(self, buckets: tuple[int, ...], backend: Any, mode: str | None) -> None:
        self.buckets, self.backend, self.mode = buckets, backend, mode
        self.made: set[tuple[int, int, bool]] = set()

    def __reduce__(self) -> Any:
        return Graphs, (self.buckets, self.backend, self.mode)

    @functools.cached_property
    def run(self) -> Any:
        """`_prompt`, compiled for these alone."""
        return torch.compile(
            _prompt, fullgraph=True, dynamic=False, backend=self.backend, mode=self.mode
        )


@dataclass
class CompiledPrefill:
    """A model whose prefill is compiled; a context manager that gives back the stock one.

    It can be entered again and again, and keeps its graphs.

    model: the very instance that was given.
    """

    model: Any
    _graphs: Graphs
    _layer: Layer
    _override: Override | None = field(default=None, repr=False)

    @property
    def buckets(self) -> tuple[int, ...]:
        """Prompt lengths that are compiled, ascending."""
        return self._graphs.buckets

    @property
    def graphs(self) -> set[tuple[int, int, bool]]:
        """What has been compiled so far: batch size, bucket and whether in inference mode."""
        return self._graphs.made

    def undo(self) -> None:
        """Give back the stock prefill, whoever compiled it; twice is as good as once."""
        take_all(self._override)
        undo_compiled_prefill(self.model)

    def __enter__(self) -> "CompiledPrefill":
        _check_whole(self.model.base_model.get_decoder())
        if self._override is None or self._layer not in self._override.layers:
            self._override = put(self.model.base_model.get_decoder(), "forward", self._layer)
        return self

    def __exit__(self, *_: object) -> None:
        if self._override is not None:
            take(self._override, self._layer, above=True)


def compiled_prefill(
    model: Any,
    *,
    buckets: tuple[int, ...] = BUCKETS,
    backend: str | Any = "inductor",
    mode: str | None = None,
    attach: bool = True,
) -> CompiledPrefill:
    """Compile the prefill of a LLaVA, zipped or not, until `undo`.

    Outputs differ from the stock ones by rounding, as padding changes the order of sums. The first
    prompt of a bucket and batch size waits for the compiler.

    model: a LlavaForConditionalGeneration with a Llama-like language model.
    buckets: lengths that prompts, visual tokens included, are padded to.
    backend, mode: as of torch.compile; without a mode, "reduce-overhead" on CUDA with inductor.
    attach: at once; else inside of `with` blocks alone.
    Raises ValueError for a model without a language model or with one that prunes, buckets that are
    no lengths, and a backend or mode that torch does not know.
    """
    core: Any = getattr(model, "base_model", None)
    language = core.get_decoder() if hasattr(core, "get_decoder") else core
    if language is core:
        raise ValueError(f"{type(model).__name__} has no language model to compile the prefill of")
    _check_whole(language)
    lengths = buckets if isinstance(buckets, list | tuple) else ()
    if not lengths or any(type(size) is not int or size < 2 for size in lengths):
        raise ValueError(f"buckets={buckets!r} must be lengths of at least 2")
    if mode is None and backend == "inductor" and model.device.type == "cuda":
        mode = "reduce-overhead"
    graphs = Graphs(tuple(sorted(set(lengths))), backend, mode)
    try:
        graphs.run  # noqa: B018 - made, and not run yet
    except RuntimeError as error:  # of torch, which has its own kinds
        raise ValueError(f"backend={backend!r}, mode={mode!r}: {error}") from error
    handle = CompiledPrefill(model, graphs, functools.partial(_forward, graphs))
    return handle.__enter__() if attach else handle


def _check_whole(language: Any) -> None:
    if prunes(language):
        raise ValueError(
            "a language model that prunes cannot be compiled, as its layers differ in length; undo "
            "the method inside it first"
        )


def undo_compiled_prefill(model: Any) -> None:
    """Give back the stock prefill of a model, compiled or not."""
    take_all(found(model.base_model.get_decoder(), "forward"))


def _forward(graphs: Graphs, below: Any, language: Any, *arguments: Any, **options: Any) -> Any:
    names = _names(type(language).forward)
    asked = {**dict(zip(names, arguments, strict=False)), **options}
    ids, embeds = asked.pop("input_ids", None), asked.pop("inputs_embeds", None)
    mask, positions = asked.pop("attention_mask", None), asked.pop("position_ids", None)
    use_cache, as_dict = asked.pop("use_cache", None), asked.pop("return_dict", None)
    cache = next((asked.pop(name) for name in CACHE if asked.get(name) is not None), None)
    graph = None
    if _asks_for_no_more(language.config, asked) and _is_prompt(
        ids if embeds is None else embeds, mask, positions, cache
    ):
        graph = _graph(ids if embeds is None else embeds, graphs, language)
    if graph is None:
        return below(language, *arguments, **options)
    embeds = language.embed_tokens(ids) if embeds is None else embeds
    batch, length, _ = embeds.shape
    front = graph[1] - length
    if mask is None:
        mask = embeds.new_ones(batch, length, dtype=torch.long)
    if positions is None:
        positions = torch.arange(length, device=embeds.device).unsqueeze(0)
    if embeds.device.type == "cuda":
        torch.compiler.cudagraph_mark_step_begin()
    # One code object for all graphs, of which torch would allow eight.
    with torch._dynamo.config.patch(recompile_limit=8 * GRAPHS):
        hidden, cached = graphs.run(
            language,
            _cache_among(names),
            pad(embeds, (0, 0, front, 0)),
            pad(mask.to(torch.long), (front, 0)),
            # Of one layout, whoever made them, since a graph is of one layout.
            pad(positions.expand(batch, -1).contiguous(), (front, 0)),
        )
    if use_cache is None:
        use_cache = language.config.use_cache
    if use_cache and cache is None:
        cache = DynamicCache(config=language.config)
    if cache is not None:
        for layer, (keys, values) in enumerate(cached):
            cache.update(keys[:, :, front:], values[:, :, front:], layer)
    # Copied, as a CUDA graph writes its next results to the same place.
    name = _cache_among([each.name for each in fields(BaseModelOutputWithPast)])
    given: Any = {"last_hidden_state": hidden[:, front:].clone(), name: cache}
    output = BaseModelOutputWithPast(**given)
    as_dict = language.config.return_dict if as_dict is None else as_dict
    return output if as_dict else output.to_tuple()


def _prompt(
    language: Any, name: str, inputs_embeds: Tensor, attention_mask: Tensor, position_ids: Tensor
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Hidden states [B, L, D] and each layer's keys and values [B, H, L, d] of padded prompts.

    name: what the language model calls its cache.
    """
    cache: Any = DynamicCache()
    output = type(language).forward(
        language,
        inputs_embeds=inputs_embeds,
        attention_mask=attention_mask,
        position_ids=position_ids,
        use_cache=True,
        return_dict=True,
        **{name: cache},
    )
    return output.last_hidden_state, [(layer.keys, layer.values) for layer in cache.layers]


@functools.cache
def _names(forward: Callable[..., Any]) -> list[str]:
    """The arguments of a language model, in order."""
    return list(inspect.signature(forward).parameters)[1:]


def _cache_among(names: list[str]) -> str:
    return next(name for name in CACHE if name in names)


def _is_prompt(prompts: Any, mask: Any, positions: Any, cache: Any) -> bool:
    """Whether this is the first pass of whole prompts, in a form that the graph takes."""
    if prompts is None or torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    if cache is not None and (type(cache) is not DynamicCache or cache.get_seq_length() > 0):
        return False
    rows = [each for each in (mask, positions) if each is not None]
    return prompts.shape[1] > 1 and all(
        isinstance(each, Tensor) and each.ndim == 2 for each in rows
    )


def _asks_for_no_more(config: Any, options: dict[str, Any]) -> bool:
    """Whether hidden states of the last layer and the cache are all that is wanted."""
    wanted = (config.output_attentions, config.output_hidden_states)
    return not any(wanted) and all(value is None or value is False for value in options.values())


def _graph(prompts: Tensor, graphs: Graphs, language: Any) -> tuple[int, int, bool] | None:
    """The graph that takes these prompts, noted as compiled; None if there is to be none."""
    batch, length = prompts.shape[:2]
    bucket = next((size for size in graphs.buckets if size >= length), None)
    if bucket is None or _is_fetched(language):
        return None
    graph = (batch, bucket, torch.is_inference_mode_enabled())
    if graph not in graphs.made and len(graphs.made) >= GRAPHS:
        return None
    graphs.made.add(graph)
    return graph


def _is_fetched(language: torch.nn.Module) -> bool:
    """Whether weights come to a part when it runs, as accelerate and FSDP do it."""
    parts = [part for part in language.modules() if part is not language]
    return any("forward" in part.__dict__ or hasattr(part, "unshard") for part in parts)
