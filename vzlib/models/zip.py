"""VisionZip on a stock model: some methods of one instance, a processor that asks for fewer tokens.

Which methods, and what they do differently, is said by the model's family (`vzlib.models.host`).
They are layers over the instance's own (`vzlib.models.overrides`): copies and pickles of the model
are zipped too and run their own tower, and without the layers it is the stock model bit by bit.
Between calls nothing is kept but what became of the last images, for `ZippedModel.tokens`.
"""

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor

from vzlib.methods.before import Before
from vzlib.methods.inside.schedule import Fitted, Inside
from vzlib.methods.visionzip import VisionZip
from vzlib.models import inside
from vzlib.models.compiled_prefill import CompiledPrefill, compiled_prefill, undo_compiled_prefill
from vzlib.models.family import no_clips
from vzlib.models.host import host_of
from vzlib.models.inside_checks import chosen_inside
from vzlib.models.overrides import Layer, Override, found, put, take, take_all
from vzlib.models.processors import Counts, shorten, zip_processor
from vzlib.models.question import listening, listening_generate
from vzlib.models.reduction import ByBudget, ByMethod, Reduction, last_reduced, recorded
from vzlib.models.shape import Shape
from vzlib.models.tower_parts import has_cls
from vzlib.models.views import Budgeted, ByView, Share
from vzlib.models.zip_checks import (
    budget_for,
    chosen,
    chosen_by_view,
    of_budget,
    of_name,
    question_frame,
)
from vzlib.tokens import Budget, ZippedTokens, select_and_merge
from vzlib.tokens.evidence import Encoded, Reduced
from vzlib.tokens.merging import MergeRule


@dataclass
class ZippedModel:
    """A zipped model with its processor; a context manager that gives back the model as it was.

    Entered again, it zips the model again.

    model: the very instance that was given, changed until `undo`.
    processor: a copy that puts `retain` placeholders per image, or None if none was given.
    method: what the model is zipped with, and `retain` the visual tokens it leaves of an image; of
        a method inside the language model the layer average asked for, None if the prompt decides.
    budget: how VisionZip splits them, or the schedule of a method inside the language model and the
        layer average that it really has; None for others, and where views or prompts decide.
    prefill: the compiled prefill, or None.
    """

    model: Any
    processor: Any
    method: Before | Inside
    retain: Any
    budget: Budget | Fitted | None
    prefill: CompiledPrefill | None
    _layers: list[tuple[Override, Layer]]
    _budgeted: Budgeted | None = None

    @property
    def tokens(self) -> Reduced | list[Reduced | None] | inside.Entered | None:
        """What became of the tower's tokens in the last batch of images; None before any.

        Which stayed and where they stand, and which merged into which, as `Reduced` says. Where
        images have several views or sizes, one of each image, [1, ...]: token t of view v counts
        as v S + t if the tower gives S of a view; None is an image that was left as it is. With a
        method inside the language model, which tokens entered each layer. Not seen by a compiled
        model.
        """
        if isinstance(self.method, Inside):
            return inside.last_entered(self.model.base_model)
        return last_reduced(self.model.base_model)

    def undo(self) -> None:
        """Give back the stock model, whoever zipped it last; twice is as good as once."""
        for override, _ in self._layers:
            take_all(override)
        if self.prefill is not None:
            self.prefill.undo()
        unzip_model(self.model)

    def __enter__(self) -> "ZippedModel":
        if any(layer not in override.layers for override, layer in self._layers):  # once undone
            laid = [(put(each.module, each.name, layer), layer) for each, layer in self._layers]
            self._layers = laid
        if self.prefill is not None:
            self.prefill.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        # Not unzip_model: what an enclosing context had put there comes back.
        for override, layer in self._layers:
            take(override, layer, above=True)
        if self.prefill is not None:
            self.prefill.__exit__()

    def shorten(self, inputs: MutableMapping[str, Tensor]) -> dict[str, Tensor]:
        """Inputs made by the stock processor, with as many placeholders as an image now costs.

        Texts come back padded on the left, so outputs must be cut at the new length. Raises
        ValueError if the placeholders are not those of whole images.
        """
        if isinstance(self.method, Inside):  # whose prompts are the stock ones
            return dict(inputs)
        config, host, short = self.model.config, host_of(self.model), dict(inputs)
        kinds = {config.image_token_id: host.shapes}
        if (video := getattr(config, "video_token_id", None)) is not None:
            kinds[video] = host.clips
        for token, of_kind in kinds.items():
            shapes = of_kind(config, inputs)
            if host.TOLD is not None and of_kind == host.shapes:
                short[host.TOLD] = torch.tensor([shape.views for shape in shapes])
            short = shorten(
                short,
                image_token_id=token,
                pad_token_id=self._padding(),
                old=[row for shape in shapes for row in shape.rows],
                new=[row for shape in shapes for row in self._rows(shape)],
            )
        return short

    def cost(self, shape: Shape) -> int:
        """Tokens of an image of this shape at the language model's input."""
        return self.retain if self._budgeted is None else self._budgeted.cost(shape)

    def _rows(self, shape: Shape) -> tuple[int, ...]:
        return (self.retain,) if self._budgeted is None else self._budgeted.rows(shape)

    def _padding(self) -> int:
        """A token to pad with: the tokenizer's, the model's, or any that stands for no image."""
        tokenizer, config = getattr(self.processor, "tokenizer", None), self.model.config
        text = config.get_text_config()
        known = (getattr(tokenizer, "pad_token_id", None), text.pad_token_id, 0, 1)
        # None, and -1 in old configurations, are no tokens.
        tokens = [token for token in known if token is not None and token >= 0]
        visual = (config.image_token_id, getattr(config, "video_token_id", None))
        return next(token for token in tokens if token not in visual)

    @contextmanager
    def record(self) -> Iterator[list[Any]]:
        """Collect what becomes of every image batch that this thread encodes meanwhile.

        ZippedTokens, whose indices count the CLS token where it stays and else start at the first
        patch; or `Reduced`, where the model was zipped with a `method`. While
        recording, tokens are checked for NaN on every device, which makes the host wait. Not seen
        by a compiled model.
        """
        with recorded(self.model.base_model) as seen:
            yield seen


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


def unzip_model(model: Any) -> Any:
    """Give back the stock model, its stock prefill too. Also undoes copies of a zipped one.

    What others changed, such as accelerate's hooks, stays. Returns the model.
    """
    for name in (*host_of(model).METHODS, "forward", "get_placeholder_mask"):
        take_all(found(model.base_model, name))
    for name in ("forward", "generate"):
        take_all(found(model, name))
    undo_compiled_prefill(model)
    return model


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
