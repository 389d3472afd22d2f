"""What can be chosen in 16_what_is_lost; torch is not imported."""

from typing import Annotated

from pydantic import AfterValidator, Field

from vzlib.experiments.settings import Model, NotNegative, Positive, Questions, Settings
from vzlib.methods import registry


def _before(name: str) -> str:
    registry.row(name, "before")
    return registry.compared(name)


class WhatIsLost(Settings):
    """16_what_is_lost: which answers are lost with fewer tokens, by what was asked about."""

    model: Model
    questions: Questions
    each: int = Field(ge=2)  # questions per task
    # As vzlib.methods.registry writes them.
    methods: tuple[Annotated[str, AfterValidator(_before)], ...] = Field(min_length=1)
    budgets: tuple[Positive, ...] = Field(min_length=1)
    seed: NotNegative  # of the methods that draw
