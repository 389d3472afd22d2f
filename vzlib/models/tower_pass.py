"""One pass through a vision tower that runs the blocks needed and sees queries and keys go by.

It is the tower itself that is called, so that forward hooks on it and on its parts fire, and who
holds weights back until a module runs (FSDP, accelerate) has them there: no part of a block is
called outside of it. Two things are laid over the tower for the time of the call, for this thread
alone: the encoder's loop ends with the last block needed, and hooks on the query and key
projections of a block that rates keep what they give. No attention map is stored, whatever
attention implementation is used.

Under `torch.compile` hooks that come and go cannot be seen. There, and for towers of which parts
are compiled, a plain loop over the blocks does the same, and computes the norm, the keys and the
rating queries of a rating block once more.

Two facts of transformers 5 matter here. `hidden_states[0]` is the input of the first block, so
`hidden_states[i]` is the output of block i - 1 and belongs to the attention of that block. And the
hooks that capture outputs stay on the blocks once a stock forward installed them; they cannot be
traced by `torch.compile` unless a collector is active, hence `capture_outputs` around the loop.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils.output_capturing import capture_outputs

from vzlib.models.overrides import is_method, put, take
from vzlib.models.tower_parts import Family, blocks_of, family_of

# Told of a block that rates: its queries [B, H, Q, d] (of the first token only, Q = 1, or of all),
# its keys [B, H, S, d] and the scale of their products.
Told = Callable[[Tensor, Tensor, float], None]

# `capture_outputs` would otherwise follow the tower's config, which may ask for all attention maps.
NOTHING_ELSE: dict[str, Any] = {"output_hidden_states": False, "output_attentions": False}


def run(
    tower: Any,
    inputs: tuple[Tensor, ...],
    valid: Tensor | None,
    *,
    depth: int,
    told: dict[int, Told],
    first_only: bool,
    beside: tuple[int, ...] = (),
    resized: bool = False,
    **options: Any,
) -> tuple[Tensor, Any]:
    """Output [B, S, D] of the first `depth` blocks, and what the tower returned with it.

    inputs: what the tower takes, as `Family.inputs` says. valid: [B, S], its padding mask.
    told: for each block that rates, by index, what is told of it as soon as it ran.
    first_only: whether the first token alone rates.
    beside: smaller depths, whose outputs stand in front of it in the last dimension, [B, S, F * D].
    resized: the images are of another size than the tower's own.
    options: further arguments of the tower. Where they ask for hidden states or attentions, every
    block runs; else `hidden_states` holds the one at `depth` alone, as transformers leaves it, and
    the rest of what the tower returns is of that layer too. `torch.compile` passes options over.
    Raises ValueError for inputs that the tower does not take.
    """
    family, blocks = family_of(tower), blocks_of(tower)
    _check(tower, family, inputs, resized)
    told_of_size = dict(family.resized or {}) if resized else {}
    loop = partial(
        _plain_loop,
        tower,
        *inputs,
        valid=valid,
        depth=depth,
        told=told,
        first_only=first_only,
        beside=beside,
        told_of_size=told_of_size,
        **NOTHING_ELSE,
    )
    if torch.compiler.is_compiling() or _is_compiled(tower):
        hidden = loop()
        last = hidden[..., -tower.config.hidden_size :]
        states = _some({depth: last}, None, depth, len(blocks) + 1)
        return hidden, BaseModelOutputWithPooling(last_hidden_state=hidden, hidden_states=states)
    named: dict[str, Tensor | None] = dict(zip(family.inputs, inputs, strict=True))
    if family.mask is not None:
        named[family.mask] = valid
    options = {**NOTHING_ELSE, **options, **told_of_size, "return_dict": True}
    asked = options["output_hidden_states"]
    whole = bool(asked or options["output_attentions"])
    whole = whole or not is_method(tower.encoder, "forward")  # whose loop cannot end early
    options["output_hidden_states"] = whole  # some alone are asked for otherwise before 5.23
    end: dict[str, Tensor] = {}
    between: dict[int, Tensor] = {}
    heard: set[int] = set()
    with ExitStack() as stack:
        for index, tell in told.items():
            tell = partial(_noted, heard, index, tell)
            stack.enter_context(overhearing(blocks[index], family, first_only, tell))
        for before in beside:
            stack.enter_context(_keeping(blocks[before - 1], before, between))
        stack.enter_context(_ending(tower, family, None if whole else depth, end))
        output = tower(**named, **options)
    # Whoever runs the blocks may not let hooks see.
    if heard != told.keys() or between.keys() != set(beside):
        return loop(), output
    hidden = output.hidden_states[depth] if whole else end["hidden"]
    if asked is not True:
        all_states = output.hidden_states if whole else {depth: hidden}
        output.hidden_states = _some(all_states, asked, depth, len(blocks) + 1)
    if beside:
        hidden = torch.cat([*(between[before] for before in beside), hidden], dim=-1)
    return hidden, output


def _check(tower: nn.Module, family: Family, inputs: tuple[Tensor, ...], resized: bool) -> None:
    if resized and family.resized is None:
        raise ValueError(f"{type(tower).__name__} cannot be shown images of another size")
    shapes = [tuple(getattr(each, "shape", [type(each).__name__])) for each in inputs]
    if [len(shape) for shape in shapes] != [len(axes) for axes in family.inputs.values()]:
        wanted = ", ".join(f"{name} [{', '.join(axes)}]" for name, axes in family.inputs.items())
        raise ValueError(f"{type(tower).__name__} takes {wanted}, not tensors of shape {shapes}")


def _some(states: Any, asked: Any, depth: int, count: int) -> Any:
    """Of `count` hidden states those asked for by index and that at `depth`, None for others."""
    chosen = asked if isinstance(asked, list | tuple) else [asked] if asked else []
    wanted = {each % count for each in (*chosen, depth) if -count <= each < count}
    return tuple(states[each] if each in wanted else None for each in range(count))


@capture_outputs
def _plain_loop(
    tower: Any,
    *inputs: Tensor,
    valid: Tensor | None,
    depth: int,
    told: dict[int, Told],
    first_only: bool,
    beside: tuple[int, ...],
    told_of_size: Mapping[str, bool],
    **_: Any,
) -> Tensor:
    family, mask = family_of(tower), None
    between: dict[int, Tensor] = {}
    hidden = tower.embeddings(*inputs, **told_of_size).contiguous()
    if hasattr(tower, "pre_layrnorm"):  # CLIP only, and so spelt
        hidden = tower.pre_layrnorm(hidden)
    if valid is not None:
        mask = create_bidirectional_mask(
            config=tower.config, inputs_embeds=hidden, attention_mask=valid
        )
    for index, block in enumerate(blocks_of(tower)[:depth]):
        if index in told:
            attention: Any = getattr(block, family.attention)
            normed = getattr(block, family.norm)(hidden)
            queries = attention.q_proj(normed[:, :1] if first_only else normed)
            told[index](*_by_head(attention, queries, attention.k_proj(normed)))
        hidden = block(hidden, mask)
        if index + 1 in beside:
            between[index + 1] = hidden
    return torch.cat([*(between[before] for before in beside), hidden], dim=-1)


@contextmanager
def _ending(
    tower: Any, family: Family, depth: int | None, end: dict[str, Tensor]
) -> Iterator[None]:
    """The encoder's loop ends after `depth` blocks, and its output goes into `end`."""
    layer = partial(_first_blocks, threading.get_ident(), family.blocks, depth, end)
    override = put(tower.encoder, "forward", layer)
    try:
        yield
    finally:
        take(override, layer)


def _first_blocks(
    reader: int,
    name: str,
    depth: int | None,
    end: dict[str, Tensor],
    below: Callable[..., Any],
    encoder: Any,
    *arguments: Any,
    **options: Any,
) -> Any:
    if threading.get_ident() != reader:
        return below(encoder, *arguments, **options)
    # SigLIP's patches come transposed out of the convolution, and without a CLS token to join them
    # to, every norm of every block would copy them into order again.
    if arguments:
        arguments = (arguments[0].contiguous(), *arguments[1:])
    else:
        options["inputs_embeds"] = options["inputs_embeds"].contiguous()
    if depth is not None:
        encoder = _with_blocks(encoder, name, list(getattr(encoder, name))[:depth])
    output = below(encoder, *arguments, **options)
    end["hidden"] = output.last_hidden_state
    return output


def _with_blocks(encoder: nn.Module, name: str, blocks: list[nn.Module]) -> nn.Module:
    """The same encoder with these blocks alone; the one given stays as it is."""
    view = object.__new__(type(encoder))
    modules = {**encoder._modules, name: nn.ModuleList(blocks)}
    view.__dict__ = {**encoder.__dict__, "_modules": modules}
    return view


@contextmanager
def _keeping(block: nn.Module, depth: int, between: dict[int, Tensor]) -> Iterator[None]:
    """What a block gives goes into `between` as the output at `depth`."""
    reader = threading.get_ident()

    def keep(block: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        if threading.get_ident() == reader:
            between[depth] = output[0] if isinstance(output, tuple) else output

    hook = block.register_forward_hook(keep)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def overhearing(block: nn.Module, family: Family, first_only: bool, tell: Told) -> Iterator[None]:
    """Tell the queries and keys of a block as soon as it has made both."""
    attention: Any = getattr(block, family.attention)
    hear = partial(_hear, threading.get_ident(), attention, first_only, {}, tell)
    hooks = [
        projection.register_forward_hook(hear)
        for projection in (attention.q_proj, attention.k_proj)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _hear(
    reader: int,
    attention: Any,
    first_only: bool,
    heard: dict[str, Tensor],
    tell: Told,
    projection: Any,
    arguments: tuple[Tensor, ...],
    output: Tensor,
) -> None:
    if threading.get_ident() != reader:
        return
    if projection is attention.k_proj:
        heard["keys"] = output
    elif not first_only:
        heard["queries"] = output
    elif all(_is_ours(hook) for hook in tuple(projection._forward_hooks.values())):
        # The same sums as in the plain loop, to the last bit, and not all queries kept for one.
        with torch.no_grad():
            heard["queries"] = projection.forward(arguments[0][:, :1])
    else:  # someone may have changed what the projection gives
        heard["queries"] = output[:, :1]
    if len(heard) == 2:
        tell(*_by_head(attention, heard.pop("queries"), heard.pop("keys")))


def _is_ours(hook: Any) -> bool:
    return isinstance(hook, partial) and hook.func is _hear


def _noted(heard: set[int], index: int, tell: Told, *evidence: Any) -> None:
    heard.add(index)
    tell(*evidence)


def _by_head(attention: Any, queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor, float]:
    if hasattr(attention, "q_norm"):  # of InternVL, where it may do nothing
        queries, keys = attention.q_norm(queries), attention.k_norm(keys)
    queries, keys = (
        each.unflatten(-1, (-1, attention.head_dim)).transpose(1, 2) for each in (queries, keys)
    )
    return queries, keys, attention.head_dim**-0.5


def _is_compiled(tower: nn.Module) -> bool:
    return any(
        module._compiled_call_impl is not None or "_orig_mod" in module._modules
        for module in tower.modules()
    )
