"""What can be chosen in 10_training_stage; torch is not imported."""

from pydantic import Field

from vzlib.experiments.settings import Model, NotNegative, Positive, Questions, Settings


class TrainingStage(Settings):
    """10_training_stage: a language model trained with fewer visual tokens, or with all of them."""

    model: Model
    questions: Questions  # trained on, and asked afterwards
    each: int = Field(ge=2)  # questions per task
    budgets: tuple[Positive, ...] = Field(min_length=1)  # visual tokens
    remembered: float = Field(ge=0, le=1)  # share of the language model's weights at the start
    images: Positive  # to train on, again and again
    asked: Positive  # questions per task about each of them
    steps: Positive
    same_time: bool  # also trained for as long as with all tokens
    rate: float = Field(gt=0)  # learning rate
    batch: Positive  # images a step
    seeds: tuple[NotNegative, ...] = Field(min_length=1)  # of the start and the order of images
