"""What a cache holds once its layers differ in length: which tokens stand where in each.

A cache that was filled by a pruned pass carries it along, so that whoever goes on with it, the next
word, beams or another turn, gets the right mask in every layer.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Memory(NamedTuple):
    """The first `length` tokens of a cache; all that came after them stand in every layer.

    columns: for each layer `[B, n]`, which of them it holds, in order, -1 for padding; one tensor
    for layers that hold the same. ragged: whether there is such padding.
    """

    length: int
    columns: tuple[Tensor, ...]
    ragged: bool


class Standing:
    """Which tokens stand in each layer during one pass, and which of them may be seen.

    cache: None for none. length: tokens that come in. ahead: tokens that come in, too, but stand in
    the first layers of the cache already. valid: `[B, C]` bool of all tokens so far, see
    `run_layers`. prunes: whether tokens may leave. ragged: whether rows have been padded for the
    sake of longer ones.
    Raises ValueError for a cache whose layers were cut or put together since tokens left.
    """

    def __init__(
        self, cache: Any, batch: int, length: int, ahead: int, valid: Tensor | None, prunes: bool
    ) -> None:
        self._cache, self._valid, self._batch = cache, valid, batch
        self._memory = memory_of(cache, batch)
        self.ragged = self._memory is not None and self._memory.ragged
        # Of a static cache lengths are tensors, and waited for only where they are needed.
        counts = cache is not None and not ahead and (prunes or valid is None)
        self._past = int(cache.get_seq_length()) if counts else 0
        self._total = self._past + ahead + length if valid is None else valid.shape[1]

    def is_whole(self, layer: int) -> bool:
        """Whether a layer of the cache holds all tokens that there were."""
        memory = self._memory
        return memory is None or memory.columns[layer].shape[1] == memory.length

    def differs(self, layer: int) -> bool:
        """Whether a layer of the cache holds other tokens than the one before."""
        memory = self._memory
        return memory is not None and memory.columns[layer] is not memory.columns[layer - 1]

    def valid(self, layer: int, columns: Tensor | None) -> Tensor | None:
        """`[B, n]` bool of what stands in a layer when `columns` came in, None if all may be seen.

        columns: `[B, m]`, which of the tokens that come in these are, -1 for padding; None for all.
        """
        if self._valid is None and not self.ragged:
            return None
        held = self._held(layer, self._total if columns is None else self._past)
        if columns is not None:
            new = torch.where(columns < 0, -1, columns + self._past)
            held = torch.cat([held.to(new.device), new], dim=1)
        if self._valid is None:
            return held >= 0
        return self._valid.gather(1, held.clamp(min=0).to(self._valid.device)) & (held >= 0)

    def padding(self, columns: Tensor) -> Tensor | None:
        """`[B, m]` bool, what of the tokens that come in is padding before a prompt."""
        if self._valid is None and not self.ragged:
            return None
        real = columns >= 0
        if self._valid is not None:
            real &= self._valid.gather(1, columns.clamp(min=0) + self._past)
        return real.cumsum(dim=1) == 0

    def keys(self, layer: int, count: int | None = None) -> Tensor | None:
        """Keys `[B, h, n, d]` of what stood in a layer before; count: their number if it is known.

        Raises ValueError for a cache that does not keep them as they are.
        """
        if self._cache is None:
            return None
        count = count or self._held(layer, self._past).shape[1]
        if not count:
            return None
        keys: Tensor = self._cache.layers[layer].keys[:, :, :count]
        if keys.shape[2] < count:
            raise ValueError(f"{type(self._cache.layers[layer]).__name__} does not keep its keys")
        return keys

    def remember(self, entered: Sequence[Tensor]) -> None:
        """Let the cache carry along which of the tokens that came in entered each layer."""
        if self._cache is None:
            return
        made: dict[tuple[int, int], Tensor] = {}
        columns = []
        for layer, new in enumerate(entered):
            old = 0 if self._memory is None else id(self._memory.columns[layer])
            if (old, id(new)) not in made:
                held = self._held(layer, self._past).to(new.device)
                new = torch.where(new < 0, -1, new + self._past)
                made[old, id(entered[layer])] = torch.cat([held, new], dim=1)
            columns.append(made[old, id(entered[layer])])
        length = self._past + entered[0].shape[1]
        self._cache.entered = Memory(length, tuple(columns), self.ragged)

    def _held(self, layer: int, end: int) -> Tensor:
        """`[B, n]`, which of the first `end` tokens stand in a layer."""
        if self._memory is None:
            return torch.arange(end).expand(self._batch, -1)
        columns = self._memory.columns[layer]
        rest = torch.arange(self._memory.length, end, device=columns.device)
        return torch.cat([columns, rest.expand(self._batch, -1)], dim=1)


def memory_of(cache: Any, batch: int) -> Memory | None:
    """What a cache carries along, None for one that holds all tokens in every layer.

    Raises ValueError for a cache whose layers were cut or put together since.
    """
    memory: Memory | None = getattr(cache, "entered", None)
    if memory is None or torch.compiler.is_compiling():
        return memory
    lengths = [layer.get_seq_length() for layer in cache.layers]
    if int(lengths[0]) == 0:  # it was reset
        del cache.entered
        return None
    if not isinstance(lengths[0], Tensor):
        after = lengths[0] - memory.length
        wanted = [columns.shape[1] + after for columns in memory.columns]
        if lengths != wanted or after < 0:
            raise ValueError(
                "the layers of this cache are not as they were when visual tokens left them; a "
                "cache that was pruned cannot be cut: start anew with the whole prompt"
            )
    if len(memory.columns[0]) != batch:
        raise ValueError(
            f"this cache holds {len(memory.columns[0])} pruned prompts, which {batch} cannot follow"
        )
    return memory
