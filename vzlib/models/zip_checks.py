"""Whether a model can be zipped as asked, found out before anything is changed."""

from dataclasses import replace
from typing import Any

from torch import nn

from vzlib.methods import registry
from vzlib.methods.before import Before, check_retain
from vzlib.models.question import Frame, frame_of
from vzlib.models.tower_parts import blocks_of, has_cls, token_count
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


def chosen(
    tower: nn.Module, method: str | Before, budget: Budget | None, retain: int | None
) -> tuple[Before, int]:
    """The method asked for, and the tokens it is to leave, if this tower can pay them.

    Raises ValueError for a method that there is not, that works inside the language model or that
    needs what this tower has not, for a budget beside it, and BudgetError for too many tokens.
    """
    if isinstance(method, str):
        if registry.row(method).place == "inside":
            raise ValueError(
                f"method {method!r} prunes inside the language model, which zip_model does not "
                f"change; allowed: {', '.join(registry.names('before'))}"
            )
        method = registry.method(method, "before")
    if not isinstance(method, Before):
        raise ValueError(
            f"method={method!r} must be a name such as 'divprune', or an object such as "
            "vzlib.methods.DivPrune()"
        )
    if budget is not None or retain is None:
        raise ValueError(
            f"with a method give retain, such as retain=64, not budget={budget!r} and "
            f"retain={retain}"
        )
    cls_stays = has_cls(tower) and getattr(method, "cls", False)
    check_retain(retain, token_count(tower) - (has_cls(tower) and not cls_stays))
    block = getattr(method, "layer", None)
    if block is not None and not 1 <= block <= len(blocks_of(tower)):
        raise ValueError(
            f"layer={block} must be between 1 and {len(blocks_of(tower))}, the tower's blocks"
        )
    return method, retain


def question_frame(method: Before, processor: Any) -> Frame | None:
    """What stands around a question, for a method that chooses by it; None for others.

    Raises ValueError where it is needed and there is no processor.
    """
    if "text" not in method.needs:
        return None
    if processor is None:
        raise ValueError(f"{method.name} chooses by the question: give the processor, too")
    return frame_of(processor)
