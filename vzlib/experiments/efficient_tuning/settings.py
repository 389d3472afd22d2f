"""What can be chosen in 09_efficient_tuning; torch is not imported."""

from pydantic import Field, model_validator

from vzlib.experiments.settings import Model, NotNegative, Positive, Questions, Settings


class EfficientTuning(Settings):
    """09_efficient_tuning: the projector alone, tuned for fewer tokens on a tenth of the data."""

    model: Model
    questions: Questions  # asked afterwards, and those of the data that match
    each: int = Field(ge=2)  # questions per task
    budgets: tuple[Positive, ...] = Field(min_length=1)  # visual tokens
    others: tuple[Questions, ...]  # tuned on too; those that are not `questions` do not match
    images: Positive  # to tune on
    asked: Positive  # questions per task about each of them
    rate: float = Field(gt=0)  # learning rate
    batch: Positive  # images a step
    seed: NotNegative  # of the order of the images

    @model_validator(mode="after")
    def _whole_steps(self) -> "EfficientTuning":
        if self.images % self.batch:
            raise ValueError(f"images={self.images} must be a multiple of batch={self.batch}")
        return self
