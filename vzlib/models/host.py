"""What zipping needs to know of a family of models, and where it is found.

A family is one module of the shape of `Host`, named in `vzlib.models.families`. It says where
things are and what is overridden; what is kept of an image, how a budget is shared among views,
layers that come and go, hooks, pickles and listeners are the same for all.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import transformers
from torch import nn

from vzlib.models.families import FAMILIES, REFUSED, family_of
from vzlib.models.shape import Shape


class Host(Protocol):
    """A family of models of transformers that can be zipped.

    VIEWS: whether images differ in what they cost the stock model, as a tower sees several views of
        them, or views of any size: then a budget is shared (`vzlib.models.views`).
    APART: whether each view has placeholders of its own, between separators.
    TOLD: argument of `forward` that says how many views each image has, where pixel values do not.
    METHODS: methods of the core that are overridden, by name. Each is a function of this module,
        called with the reduction, the method below it as a function of the core, the core, and
        what the caller passed. OUTER: likewise of the whole model.

    The core is the part that holds tower, projector and language model, `model.base_model`.
    """

    VIEWS: bool
    APART: bool
    TOLD: str | None
    METHODS: Mapping[str, Callable[..., Any]]
    OUTER: Mapping[str, Callable[..., Any]]

    def tower(self, core: Any) -> nn.Module:
        """The tower whose tokens are reduced. Raises ValueError for one that is not supported."""

    def layer(self, core: Any, asked: Any = None) -> int:
        """The layer that is read: the one a caller asks for, or that of the model's config.

        Raises ValueError unless it is one layer that the tower has and that rates tokens.
        """

    def projector(self, core: Any) -> nn.Module:
        """What the reduced tokens go through."""

    def shapes(self, config: Any, inputs: Mapping[str, Any]) -> list[Shape]:
        """The images in what a processor makes of them, one after the other.

        Raises ValueError for inputs that are not of this family's processor.
        """

    def clips(self, config: Any, inputs: Mapping[str, Any]) -> list[Shape]:
        """The same of videos. Raises ValueError for one in a family that reduces images alone."""

    def largest(self, config: Any) -> Shape | None:
        """The image that costs the stock model most; None if there is no largest."""


def host_of(model: Any) -> Host:
    """The family of a model.

    Found by the names of its classes, so that no model file is imported just to ask. Raises
    ValueError, naming the class: for one that is not known, with those supported; for one that
    runs the code of its checkpoint; for one of a version of transformers that is not known.
    """
    parents = type(model).__mro__
    names = [parent.__name__ for parent in parents]
    known = family_of(names)
    if any(parent.__module__.startswith("transformers_modules") for parent in parents):
        raise ValueError(
            f"cannot zip a {names[0]} that runs the code of its checkpoint; load one in the format "
            "of transformers, without trust_remote_code"
        )
    if known is not None:
        found = host(known)
        lacking = [name for name in found.METHODS if not hasattr(model.base_model, name)]
        if lacking:
            raise ValueError(
                f"cannot zip a {names[0]} of transformers {transformers.__version__}, which has no "
                f"{', no '.join(lacking)}; 5.23 and newer have"
            )
        return found
    why = next((REFUSED[name] for name in names if name in REFUSED), "")
    supported = ", ".join(name for classes in FAMILIES.values() for name in classes)
    raise ValueError(
        f"cannot zip a {names[0]}{why and f' ({why})'}; supported: {supported} as transformers "
        "ships it (of a wrapped one, pass the model inside)"
    )


def host(family: str) -> Host:
    """A family by the name of its module."""
    found: Any = importlib.import_module(f"vzlib.models.{family}")
    module: Host = found
    return module
