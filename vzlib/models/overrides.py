"""Methods of one instance, changed for a while: layers that can be taken away in any order.

What stands in an instance's `__dict__` is an object and no closure, so that a model that is
pickled, saved as a whole or deep-copied takes its layers along, and they act on the copy.

accelerate changes `forward` too: its hooks run around `_old_forward`, where they put what they
found. A layer goes to that place where there is one, and is found there if they came later, so that
neither loses the other.
"""

import functools
import inspect
import threading
import types
from collections.abc import Callable
from typing import Any

import torch

# Called with what lies below it, a function of the module, then with the module and arguments.
Layer = Callable[..., Any]

_change = threading.Lock()


class Override:
    """A method of one module under our layers, the last of which is on top."""

    def __init__(self, module: torch.nn.Module, name: str, below: Any) -> None:
        self.module, self.name, self.below = module, name, below
        self.layers: tuple[Layer, ...] = ()

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._down(self.layers)(self.module, *arguments, **options)

    def _down(self, layers: tuple[Layer, ...]) -> Callable[..., Any]:
        if layers:
            return functools.partial(layers[-1], self._down(layers[:-1]))
        return self.stock

    @property
    def stock(self) -> Callable[..., Any]:
        """What lies below all layers, as a function of the module."""
        if self.below is None:
            return getattr(type(self.module), self.name)
        if isinstance(self.below, types.MethodType):
            return self.below.__func__
        return functools.partial(_without_module, self.below)

    @property
    def __signature__(self) -> Any:
        """That of the method below: transformers chooses by it which arguments to pass."""
        if self.below is not None:
            return inspect.signature(self.below)
        bound = types.MethodType(getattr(type(self.module), self.name), self.module)
        return inspect.signature(bound)


def _without_module(method: Any, module: Any, *arguments: Any, **options: Any) -> Any:
    return method(*arguments, **options)


def put(module: torch.nn.Module, name: str, layer: Layer) -> Override:
    """Lay a layer over a method of this instance, on top of ours that are there already."""
    with _change:
        override = found(module, name)
        if override is None:
            place = _innermost(module, name)
            override = Override(module, name, module.__dict__.get(place))
            module.__dict__[place] = override
        override.layers = (*override.layers, layer)
        return override


def is_method(module: torch.nn.Module, name: str) -> bool:
    """Whether layers over it may call it with another module: it is a method, not a closure."""
    below = module.__dict__.get(_innermost(module, name))
    below = below.below if isinstance(below, Override) else below
    return below is None or isinstance(below, types.MethodType)


def take(override: Override, layer: Layer, *, above: bool = False) -> None:
    """Take a layer away, and with `above` those that were laid over it. Twice is as good as once.

    With the last one goes the override. What holds it in a way that cannot be seen from here calls
    an override without layers, which is the method below.
    """
    with _change:
        places = [place for place, each in enumerate(override.layers) if each is layer]
        if not places:
            return
        behind = () if above else override.layers[places[0] + 1 :]
        override.layers = (*override.layers[: places[0]], *behind)
        if not override.layers:
            _remove(override)


def take_all(override: Override | None) -> None:
    """Take all our layers away, and nobody else's."""
    if override is not None:
        with _change:
            override.layers = ()
            _remove(override)


def found(module: torch.nn.Module, name: str) -> Override | None:
    """Ours on a method of this instance, if there is one."""
    held = [module.__dict__.get(place) for place in _places(name)]
    return next((each for each in held if isinstance(each, Override)), None)


def _places(name: str) -> tuple[str, ...]:
    return (name, "_old_forward") if name == "forward" else (name,)


def _innermost(module: torch.nn.Module, name: str) -> str:
    return [place for place in _places(name) if place == name or place in module.__dict__][-1]


def _remove(override: Override) -> None:
    attributes = override.module.__dict__
    for place in _places(override.name):
        if attributes.get(place) is not override:
            continue
        if override.below is not None:
            attributes[place] = override.below
        elif place == override.name:
            del attributes[place]
        else:  # accelerate expects something to call there
            method = getattr(type(override.module), override.name)
            attributes[place] = types.MethodType(method, override.module)
