"""What the settings of all analyses have in common; each has a module `settings` of its own."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Images = Literal["photographs", "scenes"]
Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]


class Settings(BaseModel):
    """Settings are frozen, and an unknown one is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
