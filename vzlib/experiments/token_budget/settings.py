"""What can be chosen in 06_token_budget; torch is not imported."""

from typing import Literal, get_args

from pydantic import Field

from vzlib.experiments.settings import Model, NotNegative, Positive, Questions, Settings

AnyMethod = Literal[
    "visionzip", "visionzip-paper", "fastervlm", "vispruner", "divprune", "prumerge-plus", "tome",
    "pooling", "uniform", "random", "fastv", "sparsevlm", "pyramiddrop",
]  # fmt: skip


class TokenBudget(Settings):
    """06_token_budget: accuracy against visual tokens, every method on the same questions."""

    model: Model = "pico"
    questions: Questions = "scenes"  # or a file of your own, see vzlib.evaluation.question_file
    each: int = Field(200, ge=2)  # questions per task
    methods: tuple[AnyMethod, ...] = Field(get_args(AnyMethod), min_length=1)
    budgets: tuple[Positive, ...] = Field((288, 192, 128, 64, 32), min_length=1)
    equalise: Literal["layer average", "last layer"] = "layer average"
    seeds: tuple[NotNegative, ...] = Field((0,), min_length=1)  # of the methods that draw
