"""What can be chosen in 12_many_turns; torch is not imported."""

from typing import Literal

from pydantic import Field, field_validator

from vzlib.experiments.settings import Model, NotNegative, Positive, Questions, Settings
from vzlib.methods import registry


class ManyTurns(Settings):
    """12_many_turns: several questions about an image, the cache kept from turn to turn."""

    model: Model
    questions: Questions
    images: int = Field(ge=2)  # with as many questions each as there are turns
    turns: int = Field(ge=2)
    methods: tuple[str, ...] = Field(min_length=1)  # as vzlib.methods.registry writes them
    budgets: tuple[Positive, ...] = Field(min_length=1)  # visual tokens per layer on average
    # Whether later questions see what was said before them; see vzlib.evaluation.dialogue.
    history: Literal["dropped", "kept"]
    seed: NotNegative  # of the methods that draw

    @field_validator("methods")
    @classmethod
    def _known(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(registry.compared, methods)))
