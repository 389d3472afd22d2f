"""Whether a model can be zipped as asked, found out before anything is changed."""

from dataclasses import replace
from numbers import Integral
from typing import Any

from torch import nn

from vzlib.methods import registry
from vzlib.methods.before import Before, check_retain
from vzlib.methods.inside.schedule import Inside
from vzlib.methods.vanilla import Vanilla
from vzlib.methods.visionzip import VisionZip
from vzlib.models.host import Host
from vzlib.models.question import Frame, frame_of
from vzlib.models.tower_parts import blocks_of, family_of, has_cls, token_count
from vzlib.models.views import Budgeted, Share, check_budget
from vzlib.tokens import Budget
from vzlib.tokens.merging import MergeRule


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


def of_budget(budget: Budget, merge: MergeRule) -> VisionZip:
    """VisionZip that splits as this budget does."""
    usual = VisionZip(merge=merge, cls=budget.cls)
    if usual.budget(budget.total, has_cls=True).contextual == budget.contextual:
        return usual
    return replace(usual, contextual=budget.contextual / budget.total)


def check_seed(seed: Any) -> None:
    """Raises ValueError for a seed that is no whole number."""
    if not isinstance(seed, Integral):
        raise ValueError(f"seed={seed!r} must be a whole number")


def of_name(method: str | Before | Inside | None) -> Before | Inside | None:
    """The method asked for, None for none. Raises ValueError for one that there is not."""
    if isinstance(method, str):
        method = registry.method(method)
    if not isinstance(method, Before | Inside | None):
        raise ValueError(
            f"method={method!r} must be a name such as 'divprune', or an object such as "
            "vzlib.methods.DivPrune()"
        )
    return method


def chosen(
    tower: nn.Module, method: Before, budget: Budget | None, retain: int | None
) -> tuple[Before, int]:
    """The method, and the tokens it is to leave, if this tower can pay them.

    Raises ValueError for a method that needs what this tower has not, for a budget beside it, and
    BudgetError for too many tokens.
    """
    if budget is not None or retain is None:
        raise ValueError(
            f"with a method give retain, such as retain=64, not budget={budget!r} and "
            f"retain={retain}"
        )
    cls_stays = has_cls(tower) and getattr(method, "cls", False)
    check_retain(retain, token_count(tower) - (has_cls(tower) and not cls_stays))
    method.check(retain, token_count(tower) - has_cls(tower))
    if "smaller" in method.needs and family_of(tower).resized is None:
        raise ValueError(
            f"{method.name} shows smaller images, which {type(tower).__name__} cannot be shown"
        )
    _check_layer(method, len(blocks_of(tower)))
    return method, retain


def chosen_by_view(
    host: Host,
    core: Any,
    method: Before | None,
    budget: Budget | None,
    retain: int | None,
    merge: MergeRule,
    share: Share,
) -> tuple[Before, Budgeted]:
    """The method, and how its tokens are shared, where images have several views or any size.

    A budget is the whole image's, and its parts are those of each view.
    Raises as `budget_for` and `chosen`, and what `check_budget` raises.
    """
    if method is not None and (budget is not None or merge != "code"):
        raise ValueError(
            f"with a method give retain, such as retain=64, not budget={budget!r} and "
            f"merge={merge!r}"
        )
    if (budget is None) == (retain is None):
        raise ValueError(
            f"give either retain or budget, such as retain=64, not retain={retain} and "
            f"budget={budget!r}"
        )
    if budget is not None and not isinstance(budget, Budget):
        raise ValueError(f"budget must be a Budget such as Budget(54, 10), not {budget!r}")
    if method is not None:
        own = method
    else:
        own = VisionZip(merge=merge) if budget is None else of_budget(budget, merge)
    if isinstance(own, Vanilla):
        raise ValueError(
            "method 'vanilla' keeps all tokens, and their number differs from image to image here; "
            "leave the model as it is"
        )
    if "smaller" in own.needs:
        raise ValueError(
            f"method {own.name!r} shows the tower a smaller image, which is for models that see an "
            "image as one view, such as LLaVA-1.5; here give the processor smaller images"
        )
    if host.APART and share == "attention":
        raise ValueError(
            f"share='attention': a {type(core).__name__} reads each view between separators of its "
            "own, so that its tokens are counted before it is seen; allowed: share='evenly'"
        )
    largest = host.largest(core.config)
    total = budget.total if budget is not None else retain
    check_budget(total, share, largest)
    tower: Any = host.tower(core)
    _check_layer(own, _depth(tower))
    assert total is not None
    return own, Budgeted(int(total), share, None if largest is None else largest.views)


def _depth(tower: Any) -> int:
    if hasattr(tower, "blocks"):  # of Qwen
        return len(tower.blocks)
    encoder: Any = tower.encoder
    return len(encoder.layer if hasattr(encoder, "layer") else encoder.layers)


def _check_layer(method: Before, blocks: int) -> None:
    block = getattr(method, "layer", None)
    if block is not None and not 1 <= block <= blocks:
        raise ValueError(f"layer={block} must be between 1 and {blocks}, the tower's blocks")


def question_frame(method: Before, processor: Any) -> Frame | None:
    """What stands around a question, for a method that chooses by it; None for others.

    Raises ValueError where it is needed and there is no processor.
    """
    if "text" not in method.needs:
        return None
    if processor is None:
        raise ValueError(f"{method.name} chooses by the question: give the processor, too")
    return frame_of(processor)
