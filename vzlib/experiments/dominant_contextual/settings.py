"""What can be chosen in 07_dominant_contextual; torch is not imported."""

from typing import Annotated

from pydantic import Field

from vzlib.experiments.settings import Model, Questions, Settings


class DominantContextual(Settings):
    """07_dominant_contextual: the split of the budget and the other choices, one at a time."""

    model: Model
    questions: Questions
    each: int = Field(ge=2)  # questions per task
    # Visual tokens per image; fewer than 12 cannot be split in all the ways that are compared.
    totals: tuple[Annotated[int, Field(ge=12)], ...] = Field(min_length=1)
