"""What can be chosen in 11_quantisation; torch is not imported."""

from typing import Literal

from pydantic import Field, field_validator

from vzlib.experiments.settings import Model, Positive, Questions, Settings
from vzlib.methods import registry


class Quantisation(Settings):
    """11_quantisation: accuracy, bytes and time of all and fewer tokens at 32 to 4 bit."""

    model: Model
    questions: Questions
    each: int = Field(ge=2)  # questions per task
    methods: tuple[str, ...] = Field(min_length=1)  # before the language model
    retain: Positive  # visual tokens
    # The first is the one to which the others are compared.
    precisions: tuple[Literal["float32", "bfloat16", "float16", "int8", "nf4", "fp4"], ...] = Field(
        min_length=2
    )

    @field_validator("methods")
    @classmethod
    def _before(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for name in methods:
            registry.row(name, "before")
        return tuple(dict.fromkeys(map(registry.compared, methods)))

    @field_validator("precisions")
    @classmethod
    def _once(cls, precisions: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(precisions)) < len(precisions):
            raise ValueError("a precision stands there twice")
        return precisions
