"""What can be chosen in 14_adaptive_budget; torch is not imported."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from vzlib.experiments.settings import Model, Positive, Questions, Settings
from vzlib.methods import registry


def _before(name: str) -> str:
    if registry.row(name, "before").draws:
        raise ValueError(f"{name} draws its tokens: all budgets must be told apart by size alone")
    return registry.compared(name)


class AdaptiveBudget(Settings):
    """14_adaptive_budget: tokens for each image by its attention, at the same mean for all."""

    model: Model
    questions: Questions
    each: int = Field(ge=2)  # questions per task
    method: Annotated[str, AfterValidator(_before)]  # as vzlib.methods.registry writes it
    # Tokens at which all questions are answered, ascending; images get what lies between, too.
    ladder: tuple[Positive, ...] = Field(min_length=3)
    budgets: tuple[Positive, ...] = Field(min_length=1)  # tokens an image gets on average

    @model_validator(mode="after")
    def _fit(self) -> "AdaptiveBudget":
        if list(self.ladder) != sorted(set(self.ladder)):
            raise ValueError(f"ladder={list(self.ladder)} must ascend")
        if outside := [b for b in self.budgets if not self.ladder[0] < b < self.ladder[-1]]:
            raise ValueError(
                f"budgets {outside} must lie between the ends of the ladder, {self.ladder[0]} and "
                f"{self.ladder[-1]}"
            )
        return self
