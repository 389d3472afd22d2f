"""Whether and how a LLaVA can be zipped as asked, found out before anything is changed."""

from dataclasses import replace
from typing import Any

from torch import nn

from vzlib.models.tower_parts import depth_of, has_cls, token_count
from vzlib.tokens import Budget

SUPPORTED = ("LlavaForConditionalGeneration",)


def core_of(model: Any) -> Any:
    """The part of a LLaVA that holds its tower. Raises ValueError for a model of another kind."""
    if not any(parent.__name__ in SUPPORTED for parent in type(model).__mro__):
        raise ValueError(
            f"cannot zip a {type(model).__name__}; supported: {', '.join(SUPPORTED)} as "
            "transformers ships it (of a wrapped one, pass the model inside)"
        )
    return model.base_model


def check_layer(tower: nn.Module, layer: object) -> int:
    """The layer, if the tower has it and it is one. Raises ValueError."""
    if not isinstance(layer, int):
        raise ValueError(
            f"vision_feature_layer={layer!r}: features of several layers cannot be zipped, as each "
            "layer rates tokens differently; give one whole number, such as -2"
        )
    depth_of(tower, layer)
    return layer


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


def stock_count(tower: nn.Module, strategy: str) -> int:
    """Placeholders a stock processor puts per image: "default" cuts the first token off."""
    registers = getattr(tower.config, "num_register_tokens", 0)
    return token_count(tower) + registers - (strategy == "default")
