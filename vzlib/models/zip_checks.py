"""Whether a model can be zipped as asked, found out before anything is changed."""

from dataclasses import replace

from torch import nn

from vzlib.models.tower_parts import has_cls, token_count
from vzlib.tokens import Budget


def budget_for(tower: nn.Module, budget: Budget | None, retain: int | None) -> Budget:
    """The budget asked for, as `zip_model` takes it, if this tower can pay it.

    Raises ValueError for both or neither of `budget` and `retain`, or a CLS token that the tower
    has not, and BudgetError for too many tokens.
    """
    if (budget is None) == (retain is None):
        raise ValueError(
            f"give either retain or budget, such as retain=64, not retain={retain} and "
            f"budget={budget!r}"
        )
    if budget is None:
        assert retain is not None
        budget = Budget.retain(retain, has_cls=has_cls(tower))
    if not isinstance(budget, Budget):
        raise ValueError(f"budget must be a Budget such as Budget(54, 10), not {budget!r}")
    if budget.cls and not has_cls(tower):
        raise ValueError(
            f"{budget} needs a CLS token, and {type(tower).__name__} has none; use "
            f"{replace(budget, cls=False)!r}"
        )
    budget.check(token_count(tower) - (has_cls(tower) and not budget.cls))
    return budget
