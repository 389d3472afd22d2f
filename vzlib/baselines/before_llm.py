"""Reductions before the language model: from what a tower gave to the tokens that are projected.

Every method takes what `vzlib.models.encode` returns, with the CLS token at index 0 if the tower
has one, the number of tokens to retain, and a seed, and returns tokens `[B, retain, D]`.
"""

from difflib import get_close_matches
from typing import Protocol

import torch
from torch import Tensor

from vzlib.models.towers import Encoded
from vzlib.tokens import Budget, BudgetError, select_and_merge


class Method(Protocol):
    """How a reduction is called."""

    def __call__(self, encoded: Encoded, retain: int, *, has_cls: bool, seed: int) -> Tensor:
        """Tokens `[B, retain, D]`. Raises BudgetError if there are fewer."""
        ...


def visionzip(encoded: Encoded, retain: int, *, has_cls: bool, seed: int = 0) -> Tensor:
    """VisionZip as released: 54:10, CLS kept, contextual = target + mean of what it merges."""
    budget = Budget.retain(retain, has_cls=has_cls)
    return select_and_merge(*encoded, budget, "code").tokens


def visionzip_paper(encoded: Encoded, retain: int, *, has_cls: bool, seed: int = 0) -> Tensor:
    """VisionZip as written: contextual = mean of the whole group (Algorithm 2)."""
    budget = Budget.retain(retain, has_cls=has_cls)
    return select_and_merge(*encoded, budget, "paper").tokens


def random(encoded: Encoded, retain: int, *, has_cls: bool, seed: int = 0) -> Tensor:
    """Patches drawn at random for every image, in raster order; the control without evidence."""
    patches = _patches(encoded, retain, has_cls)
    draw = torch.rand(patches.shape[:2], generator=torch.Generator().manual_seed(seed))
    index = draw.argsort(dim=1)[:, :retain].sort(dim=1).values.to(patches.device)
    return patches.gather(1, index.unsqueeze(-1).expand(-1, -1, patches.shape[-1]))


def uniform(encoded: Encoded, retain: int, *, has_cls: bool, seed: int = 0) -> Tensor:
    """Patches on an even grid, the same for every image."""
    patches = _patches(encoded, retain, has_cls)
    return patches[:, even_grid(patches.shape[1], retain).to(patches.device)]


def even_grid(patches: int, retain: int) -> Tensor:
    """Raster indices `[retain]` of patches spread evenly over a square image.

    As many rows as columns where `retain` allows, else some rows hold one patch more.
    """
    side = round(patches**0.5)
    rows = max(1, int(retain**0.5))
    while retain > rows * side:
        rows += 1
    index = []
    for row in range(rows):
        count = retain * (row + 1) // rows - retain * row // rows
        y = int((row + 0.5) * side / rows)
        index += [y * side + int((column + 0.5) * side / count) for column in range(count)]
    return torch.tensor(index)


def _patches(encoded: Encoded, retain: int, has_cls: bool) -> Tensor:
    patches = encoded.hidden[:, int(has_cls) :]
    if not 1 <= retain <= patches.shape[1]:
        raise BudgetError(f"retain={retain} must be between 1 and {patches.shape[1]} patches")
    return patches


def vanilla(encoded: Encoded, retain: int, *, has_cls: bool, seed: int = 0) -> Tensor:
    """Every patch, as stock LLaVA; `retain` must be their number."""
    patches = _patches(encoded, retain, has_cls)
    if retain != patches.shape[1]:
        raise BudgetError(f"vanilla keeps all {patches.shape[1]} patches, not {retain}")
    return patches


METHODS: dict[str, Method] = {
    "vanilla": vanilla,
    "visionzip": visionzip,
    "visionzip-paper": visionzip_paper,
    "random": random,
    "uniform": uniform,
}


def method(name: str) -> Method:
    """The reduction of that name. Raises ValueError naming the nearest and all allowed."""
    if name not in METHODS:
        near = get_close_matches(name, METHODS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"method {name!r} is unknown{hint}; allowed: {', '.join(METHODS)}")
    return METHODS[name]
