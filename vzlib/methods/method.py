"""What all methods have: hyper-parameters that are checked, and a name for tables."""

import functools
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from vzlib.methods import registry

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0)]
_STRICT = ConfigDict(strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Method:
    """A way to spend a budget of visual tokens; its fields are its hyper-parameters.

    The annotation of a field says what is allowed, as for pydantic; a list may stand for a tuple.
    Raises one ValueError naming every value that is not allowed.
    """

    fitted: ClassVar[tuple[str, ...]] = ()  # fields that follow from a budget, where one is given

    def __post_init__(self) -> None:
        wrong: list[str] = []
        own: Any = type(self)
        for field, kind in _kinds(own).items():
            value = getattr(self, field)
            # By way of JSON, in which 1.0 is no integer, 1 is no bool and a list may be a tuple.
            content = to_json(value, inf_nan_mode="constants", fallback=repr)
            try:
                object.__setattr__(self, field, kind.validate_json(content, strict=True))
            except ValidationError as error:
                said = error.errors(include_url=False)[0]["msg"].removeprefix("Input ")
                wrong.append(f"{field}={value!r} {said}")
        if wrong:
            raise ValueError(f"{type(self).__name__}: {'; '.join(wrong)}")

    @property
    def name(self) -> str:
        """As it is written in settings and tables: "divprune", "vispruner(important=0.3)"."""
        return registry.name_of(self)

    @property
    def label(self) -> str:
        """As figures write it: "DivPrune", "VisPruner, important=0.3"."""
        return registry.label_of(self.name)


@functools.cache
def _kinds(method: Any) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(method, include_extras=True)
    names = registry.fields_of(method)
    return {name: TypeAdapter(hints[name], config=_STRICT) for name in names}
