"""What can be chosen in 06_token_budget; torch is not imported."""

from typing import Any, Literal

from pydantic import Field, field_validator

from vzlib import plain_yaml
from vzlib.experiments.settings import Model, NotNegative, Positive, Questions, Settings
from vzlib.methods import registry


class TokenBudget(Settings):
    """06_token_budget: accuracy against visual tokens, every method on the same questions."""

    model: Model
    questions: Questions
    each: int = Field(ge=2)  # questions per task
    methods: Literal["all"] | tuple[str, ...]  # as vzlib.methods.registry writes them
    budgets: tuple[Positive, ...] = Field(min_length=1)
    equalise: Literal["layer average", "last layer"]
    seeds: tuple[NotNegative, ...] = Field(min_length=1)  # of the methods that draw

    @field_validator("methods", mode="before")
    @classmethod
    def _listed(cls, methods: Any) -> Any:
        """Names, of a text such as `[random, fastv]` or `random`: -p gives it as it was typed."""
        if isinstance(methods, str) and methods.startswith("["):
            methods = plain_yaml.parse(methods, "methods", comments=False)
        elif isinstance(methods, str) and methods != "all":
            methods = (methods,)
        return tuple(methods) if isinstance(methods, list) else methods

    @field_validator("methods")
    @classmethod
    def _known(cls, methods: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not methods:
            raise ValueError("give at least one, or all")
        return methods if methods == "all" else tuple(map(registry.compared, methods))

    @property
    def chosen(self) -> tuple[str, ...]:
        """The methods that are compared, as they are written."""
        if isinstance(self.methods, tuple):
            return self.methods
        return tuple(name for name, row in registry.METHODS.items() if row.compared)
