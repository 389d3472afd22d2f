"""What the settings of all analyses have in common; each has a module `settings` of its own."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from vzlib.paths import checkpoint_folders
from vzlib.typed_values import NameOrPath


def _shipped() -> set[str]:
    """Names of the models that are here: "pico", of the folder pico-llava."""
    folders = {path.name for place in checkpoint_folders() for path in place.glob("*/")}
    return folders | {name.partition("-")[0] for name in folders}


def _photographs() -> set[str]:
    from vzlib.scenes.photographs import PHOTOGRAPHS

    return {name for split in PHOTOGRAPHS.values() for name in split}


def _several(value: Any) -> Any:
    """One text is as good as a list of one."""
    return (
        (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
    )


# A relative path counts from where a command was typed, and in Jupyter from the notebook's folder.
Model = Annotated[str, NameOrPath(_shipped, elsewhere=True)]  # a hub name, too
Questions = Annotated[str, NameOrPath(lambda: {"scenes", "things"})]
Photograph = Annotated[str, NameOrPath(_photographs)]
# Where images come from: `vzlib.evaluation.pictures.KINDS`, or folders; one or several.
_SOURCE = NameOrPath(lambda: {"photographs", "scenes", "things"})
ImageSource = Annotated[str, _SOURCE]
Images = Annotated[tuple[str, ...], BeforeValidator(_several), Field(min_length=1), _SOURCE]
Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]


class Settings(BaseModel):
    """Settings are frozen, and an unknown one is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
