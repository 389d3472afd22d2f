"""What zipping needs to know of a family of models, and where it is found.

A family is one module of the shape of `Host`, named in HOSTS. It says where things are and what is
overridden; what is kept of an image, layers that come and go, hooks, pickles and listeners are the
same for all.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch import nn

from vzlib.models import llava


class Host(Protocol):
    """A family of models of transformers that can be zipped.

    MODELS: names of its classes; classes derived from them count too.
    METHODS: methods of the core that are overridden, by name. Each is a function of this module,
        called with the `Reduction`, the method below it as a function of the core, the core, and
        what the caller passed.

    The core is the part that holds tower, projector and language model, `model.base_model`.
    """

    MODELS: tuple[str, ...]
    METHODS: Mapping[str, Callable[..., Any]]

    def tower(self, core: Any) -> nn.Module:
        """The tower whose tokens are reduced. Raises ValueError for one that is not supported."""

    def layer(self, core: Any, asked: Any = None) -> int:
        """The layer that is read: the one a caller asks for, or that of the model's config.

        Raises ValueError unless it is one layer that the tower has and that rates tokens.
        """

    def projector(self, core: Any) -> nn.Module:
        """What the reduced tokens go through."""

    def stock_count(self, core: Any) -> int:
        """Placeholders that the stock processor puts for an image."""


LLAVA: Host = llava
HOSTS = (LLAVA,)


def host_of(model: Any) -> Host:
    """The family of a model. Raises ValueError, naming the class and the supported ones.

    Found by the names of its classes, so that no model file is imported just to ask.
    """
    names = [parent.__name__ for parent in type(model).__mro__]
    for host in HOSTS:
        if not set(host.MODELS).isdisjoint(names):
            return host
    supported = ", ".join(name for host in HOSTS for name in host.MODELS)
    raise ValueError(
        f"cannot zip a {type(model).__name__}; supported: {supported} as transformers ships it "
        "(of a wrapped one, pass the model inside)"
    )
