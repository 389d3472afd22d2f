"""Changes of a vision tower that last as long as a `with` block: what may cause concentration.

Each lays hooks on a stock tower and takes them off again, so that whatever reads the tower
meanwhile, with or without a language model behind it, reads the changed one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from vzlib.models.tower_parts import blocks_of, family_of, has_cls

# By block, the neurons of its MLP.
Neurons = Mapping[int, Tensor]


@contextmanager
def scaled_logits(tower: nn.Module, factor: float) -> Iterator[None]:
    """Attention logits of every block times `factor`: above 1 the softmax is sharper."""
    name = family_of(tower).attention
    with ExitStack() as stack:
        for block in blocks_of(tower):
            projection = getattr(block, name).q_proj
            _hooked(stack, projection, lambda module, inputs, output: output * factor)
        yield


@contextmanager
def untrained(tower: Any, seed: int) -> Iterator[None]:
    """The weights of the same architecture as transformers initialises them."""
    before = {name: tensor.clone() for name, tensor in tower.state_dict().items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = type(tower)(tower.config).state_dict()
    tower.load_state_dict(fresh)
    try:
        yield
    finally:
        tower.load_state_dict(before)


@contextmanager
def without_content(tower: Any, chosen: Tensor) -> Iterator[None]:
    """The chosen patches show what all patches of their image show on average; positions stay.

    chosen: [B, m] patches of each image of the one batch that is looked at. A mean, not zeros,
    which no patch of an image ever is.
    Raises ValueError for a tower whose patches are not made by a convolution.
    """
    kernels = [part for part in tower.embeddings.modules() if isinstance(part, nn.Conv2d)]
    if len(kernels) != 1:
        raise ValueError(f"{type(tower).__name__} does not make its patches by one convolution")

    def average(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return _averaged(output.flatten(2).transpose(1, 2), chosen, 0).transpose(1, 2).view_as(
            output
        )  # fmt: skip

    with ExitStack() as stack:
        _hooked(stack, kernels[0], average)
        yield


@contextmanager
def averaged_before(tower: nn.Module, block: int, chosen: Tensor) -> Iterator[None]:
    """The hidden states of the chosen patches [B, m] are the mean of all patches, from the input of
    a block on (0 is the first).
    """
    first = int(has_cls(tower))

    def average(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (_averaged(inputs[0], chosen, first), *inputs[1:])

    hook = blocks_of(tower)[block].register_forward_pre_hook(average)
    try:
        yield
    finally:
        hook.remove()


def _averaged(tokens: Tensor, chosen: Tensor, first: int) -> Tensor:
    """Tokens [B, first + P, D] with the mean of the patches in place of the chosen ones [B, m]."""
    mean = tokens[:, first:].mean(dim=1, keepdim=True)
    where = (chosen + first).to(tokens.device).unsqueeze(-1).expand(-1, -1, tokens.shape[-1])
    return tokens.scatter(1, where, mean.expand_as(where))


@contextmanager
def registers(tower: Any, count: int, neurons: Neurons | None = None) -> Iterator[None]:
    """Further tokens behind CLS, which start from zeros; what chooses tokens never sees them.

    neurons: whose activation goes from the patches to the registers: there it is the largest of all
        patches, and at the patches 0, as in "Vision transformers don't need trained registers"
        (arXiv 2506.08010); None adds the tokens alone.
    While inside, the tower says that it has registers, as DINOv2 with registers does.
    Raises ValueError for a tower without CLS token, or one that has registers of its own.
    """
    if not can_have_registers(tower):
        raise ValueError(f"{type(tower).__name__} has no CLS token, or registers of its own")

    def insert(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        new = output.new_zeros(len(output), count, output.shape[-1])
        return torch.cat([output[:, :1], new, output[:, 1:]], dim=1)

    with ExitStack() as stack:
        _hooked(stack, tower.embeddings, insert)
        for index, chosen in (neurons or {}).items():
            hook = _output_of_mlp(blocks_of(tower)[index]).register_forward_pre_hook(
                _shifted(count, chosen)
            )
            stack.callback(hook.remove)
        tower.config.num_register_tokens = count
        stack.callback(delattr, tower.config, "num_register_tokens")
        yield


def can_have_registers(tower: Any) -> bool:
    """Whether a tower has a CLS token to put them behind, and none of its own."""
    own: int = getattr(tower.config, "num_register_tokens", 0)
    return has_cls(tower) and not own


def _shifted(count: int, chosen: Tensor) -> Callable[..., Any]:
    def shift(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        active = inputs[0].clone()
        patches = active[:, 1 + count :, chosen]
        active[:, 1 : 1 + count, chosen] = patches.amax(dim=1, keepdim=True)
        active[:, 1 + count :, chosen] = 0
        return (active, *inputs[1:])

    return shift


@contextmanager
def overheard_neurons(tower: nn.Module, depth: int) -> Iterator[dict[int, Tensor]]:
    """Activations [B, S, I] of the MLPs of the first `depth` blocks, by block, of the last pass."""
    heard: dict[int, Tensor] = {}
    with ExitStack() as stack:
        for index, block in enumerate(list(blocks_of(tower))[:depth]):
            part = _output_of_mlp(block)
            hook = part.register_forward_pre_hook(
                lambda module, inputs, index=index: heard.__setitem__(index, inputs[0])
            )
            stack.callback(hook.remove)
        yield heard


def _output_of_mlp(block: Any) -> nn.Module:
    """What reads the activations of a block's neurons. Raises ValueError if it is none we know."""
    part = getattr(block.mlp, "fc2", None)
    if not isinstance(part, nn.Module):
        raise ValueError(f"{type(block.mlp).__name__} has no fc2, behind its neurons")
    return part


def strongest(scores: Sequence[Tensor], count: int) -> dict[int, Tensor]:
    """The `count` neurons of highest score, by block. scores: of each block [I]."""
    width = [len(one) for one in scores]
    ranked = torch.cat(list(scores)).argsort(descending=True, stable=True)[:count]
    found: dict[int, Tensor] = {}
    for index, start in enumerate(torch.tensor([0, *width]).cumsum(0)[:-1].tolist()):
        own = ranked[(ranked >= start) & (ranked < start + width[index])] - start
        if len(own):
            found[index] = own.sort().values
    return found


def _hooked(stack: ExitStack, module: nn.Module, hook: Callable[..., Any]) -> None:
    stack.callback(module.register_forward_hook(hook).remove)
