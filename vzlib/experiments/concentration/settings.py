"""What can be chosen in 17_concentration; torch is not imported."""

from typing import Annotated

from pydantic import Field, field_validator

from vzlib.experiments.settings import ImageSource, Model, Positive, Questions, Settings


class Concentration(Settings):
    """17_concentration: why attention gathers on few tokens, by changing what may cause it."""

    model: Model
    images: ImageSource
    count: int = Field(ge=2)  # of them; intervals are over these
    seed: int = Field(ge=0)  # of the crops of photographs, of untrained weights, of random choices
    temperatures: tuple[Annotated[float, Field(gt=0)], ...]  # factors on the logits; 1 changes none
    ablated: Positive  # patches whose content goes, of 576, scaled to the model's
    registers: Positive  # further tokens
    neurons: Positive  # whose activation goes to the registers
    questions: Questions
    each: int = Field(ge=2)  # questions per task
    retain: Positive  # visual tokens where the method chooses

    @field_validator("temperatures")
    @classmethod
    def _others(cls, factors: tuple[float, ...]) -> tuple[float, ...]:
        if 1.0 in factors or len(set(factors)) < len(factors):
            raise ValueError("give each factor once, and not 1, which is the stock model")
        return factors
