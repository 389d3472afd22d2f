"""VisionZip on a stock model: some methods of one instance, a processor that asks for fewer tokens.

Which methods, and what they do differently, is said by the model's family (`vzlib.models.host`).
They are layers over the instance's own (`vzlib.models.overrides`): copies and pickles of the model
are zipped too and run their own tower, and without the layers it is the stock model bit by bit.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_args

from vzlib.methods.before import Before
from vzlib.methods.inside.schedule import Inside
from vzlib.methods.visionzip import VisionZip
from vzlib.models import inside
from vzlib.models.compiled_prefill import compiled_prefill
from vzlib.models.family import no_clips
from vzlib.models.host import host_of
from vzlib.models.inside_checks import chosen_inside
from vzlib.models.overrides import Layer, Override, put
from vzlib.models.processors import Counts, zip_processor
from vzlib.models.question import listening, listening_generate
from vzlib.models.reduction import ByBudget, ByMethod, Reduction
from vzlib.models.shape import Shape
from vzlib.models.tower_parts import has_cls
from vzlib.models.views import Budgeted, ByView, Share
from vzlib.models.zip_checks import (
    budget_for,
    check_seed,
    chosen,
    chosen_by_view,
    of_budget,
    of_name,
    question_frame,
)
from vzlib.models.zipped import ZippedModel
from vzlib.tokens import Budget, ZippedTokens, select_and_merge
from vzlib.tokens.evidence import Encoded
from vzlib.tokens.merging import MergeRule


def zip_model(
    model: Any,
    processor: Any = None,
    budget: Budget | None = None,
    *,
    retain: int | None = None,
    method: str | Before | Inside | None = None,
    merge: MergeRule = "code",
    share: Share = "evenly",
    seed: int = 0,
    compile: bool = False,
) -> ZippedModel:
    """Apply VisionZip (Section 3 of the paper), or another method, to one model until `undo`.

    model: a stock model of a family in `vzlib.models.host`, whose tower `encode` supports. Zipping
        a zipped model replaces its budget; nested `with` blocks restore the outer one.
    processor: its stock processor, which stays as it is; the copy returned asks for fewer tokens.
    budget: what to keep; with `cls=False` on an encoder with CLS, the CLS token still rates the
        patches but is not kept, as `Budget.all(576)` does to keep LLaVA's own 576 tokens.
    retain: tokens per image in all, instead of a budget, split 54:10; CLS is kept if the encoder
        has one. Where an image has several views, or any size, one that has no more tokens anyway
        is left as it is.
    method: another way to spend `retain` tokens: a name of `vzlib.methods.registry`, such as
        "divprune" or "vispruner(important=0.3)", or an object such as
        `vzlib.methods.VisionZip(merge="paper")`. One that chooses by the question needs the
        processor here, and ids and pixels in one call. For one inside the language model, `retain`
        is the average over its layers; without, it does what its hyper-parameters say.
    merge: "code" as released, or "paper". seed: of what a method draws at random.
    share: of views in the tokens of their image, "evenly", by "attention", or as "released", see
        `vzlib.models.views.Budgeted`; an image of one view has nothing to share.
    compile: also compile the prefill, see `vzlib.models.compiled_prefill.compiled_prefill`.

    Raises ValueError for a model, tower, feature layer, processor, method or merge rule that is not
    supported, and BudgetError (a ValueError) for a budget this encoder cannot pay, or that a method
    inside the language model cannot reach.
    """
    host, core = host_of(model), model.base_model
    tower = host.tower(core)
    host.layer(core)
    check_seed(seed)
    if merge not in get_args(MergeRule):
        raise ValueError(f"merge={merge!r} must be one of {get_args(MergeRule)}")
    method = of_name(method)
    if isinstance(method, Inside):
        if merge != "code" or compile or share != "evenly":
            raise ValueError(
                f"merge={merge!r}, compile={compile}, share={share!r}: {method.name} allows only "
                "'code', False and 'evenly', as its tokens leave inside the language model"
            )
        return _zip_inside(model, processor, method, budget, retain, seed)
    reduction: Reduction | ByView
    budgeted = None
    if host.VIEWS:
        own, budgeted = chosen_by_view(host, core, method, budget, retain, merge, share)
        reduction = ByView(own, budgeted, seed, question_frame(own, processor))
        total, budget = budgeted.retain, None
    elif method is None:
        budget = budget_for(tower, budget, retain)
        own = of_budget(budget, merge)
        reduction = ByBudget(budget, partial(_visionzip, budget, merge))
        total = reduction.total
    else:
        if merge != "code":
            raise ValueError(f"merge={merge!r} is VisionZip's; with a method write it into that")
        own, total = chosen(tower, method, budget, retain)
        budget = own.budget(total, has_cls(tower)) if isinstance(own, VisionZip) else None
        reduction = ByMethod(own, total, seed, question_frame(own, processor))
    if not host.VIEWS and share != "evenly":
        raise ValueError(f"share={share!r}: an image of {type(model).__name__} has one view")
    counts: int | Counts = total
    of_clips: Counts | None = None
    if budgeted is not None:
        counts = partial(_placeholders, host.shapes, core.config, budgeted)
        if host.clips is not no_clips:
            of_clips = partial(_placeholders, host.clips, core.config, budgeted)
    zipped_processor = (
        None if processor is None else zip_processor(processor, counts, of_clips, host.TOLD)
    )

    laid = _lay(core, _of(reduction, host.METHODS)) + _lay(model, _of(reduction, host.OUTER))
    if inside.prunes(core.get_decoder()):
        laid += inside.lay_aside(core.get_decoder(), "forward")
    if "text" in own.needs:
        laid += _lay(core, {"forward": listening})
        laid += _lay(model, {"generate": listening_generate})
    prefill = compiled_prefill(model) if compile else None
    return ZippedModel(model, zipped_processor, own, total, budget, prefill, laid, budgeted)


def _zip_inside(
    model: Any,
    processor: Any,
    method: Inside,
    budget: Budget | None,
    retain: int | None,
    seed: int,
) -> ZippedModel:
    host, core = host_of(model), model.base_model
    largest = host.largest(core.config)
    visual = None if largest is None else largest.stock
    method, spent = chosen_inside(core.get_decoder(), method, budget, retain, visual)
    counts: Any = partial(_as_it_is, host.shapes, core.config) if host.VIEWS else visual
    zipped_processor = None if processor is None else zip_processor(processor, counts)
    laid = [each for name in host.METHODS for each in inside.lay_aside(core, name)]
    laid += inside.lay(model, method, seed)
    wanted = None if spent is None else spent.wanted
    return ZippedModel(model, zipped_processor, method, wanted, spent, None, laid)


def _of(reduction: Any, methods: Mapping[str, Callable[..., Any]]) -> dict[str, Layer]:
    return {name: partial(override, reduction) for name, override in methods.items()}


def _lay(core: Any, layers: Mapping[str, Layer]) -> list[tuple[Override, Layer]]:
    return [(put(core, name, layer), layer) for name, layer in layers.items()]


def _visionzip(budget: Budget, merge: MergeRule, evidence: Encoded) -> ZippedTokens:
    return select_and_merge(*evidence, budget, merge)


def _placeholders(
    shapes: Callable[..., list[Shape]], config: Any, budgeted: Budgeted, inputs: Mapping[str, Any]
) -> list[tuple[int, ...] | None]:
    found = shapes(config, inputs)
    return [None if budgeted.whole(shape) else budgeted.quotas(shape) for shape in found]


def _as_it_is(
    shapes: Callable[..., list[Shape]], config: Any, inputs: Mapping[str, Any]
) -> list[tuple[int, ...] | None]:
    return [None for _ in shapes(config, inputs)]
