"""What can be chosen in 05_misalignment_ablation; torch is not imported."""

from typing import Literal

from pydantic import Field, model_validator

from vzlib.experiments.settings import Model, NotNegative, Questions, Settings


class MisalignmentAblation(Settings):
    """05_misalignment_ablation: offer text-guided selectors fewer of the encoder's best tokens."""

    model: Model
    questions: Questions
    each: int = Field(ge=2)  # questions per task
    seeds: tuple[NotNegative, ...] = Field(min_length=1)  # of whatever draws
    selectors: tuple[Literal["sparsevlm", "fastv"], ...] = Field(min_length=1)
    removed: int = Field(ge=1)  # Ex1 takes away so many of 576, scaled to the model's patches
    offered: int = Field(ge=1)  # Ex2 offers so many of 576
    kept: int = Field(ge=1)  # of 576; what the last layer sees in every condition
    ex2: Literal["dominant", "zipped"]  # reading of "top 128" that is the paper's Ex2

    @model_validator(mode="after")
    def _fit(self) -> "MisalignmentAblation":
        if not self.kept < self.offered < 576 or self.kept > 576 - self.removed:
            raise ValueError(
                f"kept={self.kept} must be below offered={self.offered}, that below 576, and at "
                f"most 576 - removed={self.removed}"
            )
        return self
