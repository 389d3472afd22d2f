"""VisionZip on a stock LLaVA: one method of one instance, a processor that asks for fewer tokens.

What differs from `transformers.LlavaForConditionalGeneration` while a model is zipped:

- `model.model.get_image_features` reads the tower with `encode` and reduces its tokens before the
  projector. `forward` and `generate` both go through this method, so positions, masks, caches,
  beams and labels are those of a shorter prompt and need no change.
- `model.model.get_placeholder_mask` explains a wrong number of placeholders.

Both are bound methods in the instance's `__dict__`: a deep copy of the model is zipped too and runs
its own tower, and removing them gives back the stock model bit by bit. Nothing is kept between
calls. `vision_feature_select_strategy` has no say while a model is zipped; `Budget.cls` decides on
the CLS token.
"""

import functools
import types
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from vzlib.models.compiled_prefill import CompiledPrefill, compiled_prefill, undo_compiled_prefill
from vzlib.models.processors import shorten, zip_processor
from vzlib.models.tower_parts import has_cls
from vzlib.models.towers import encode
from vzlib.models.zip_checks import budget_for, check_layer, core_of, stock_count
from vzlib.tokens import Budget, ZippedTokens, check_finite, select_and_merge
from vzlib.tokens.merging import MergeRule

OVERRIDDEN = ("get_image_features", "get_placeholder_mask")

# Who listens in this thread, as (model, list): see ZippedModel.record.
_listeners: ContextVar[tuple[tuple[nn.Module, list[ZippedTokens]], ...]] = ContextVar(
    "zipped_tokens_listeners", default=()
)


@dataclass
class ZippedModel:
    """A zipped model with its processor; a context manager that gives back the model as it was.

    model: the very instance that was given, changed until `undo`.
    processor: a copy that puts `budget.total` placeholders per image, or None if none was given.
    budget, merge: what the model is zipped with.
    prefill: the compiled prefill, or None.
    """

    model: Any
    processor: Any
    budget: Budget
    merge: MergeRule
    prefill: CompiledPrefill | None
    _before: dict[str, Any]

    def undo(self) -> None:
        """Give back the stock model, whoever zipped it last; twice is as good as once."""
        unzip_model(self.model)

    def __enter__(self) -> "ZippedModel":
        return self

    def __exit__(self, *_: object) -> None:
        # Not unzip_model: what an enclosing context had put there comes back.
        for name in OVERRIDDEN:
            self.model.base_model.__dict__.pop(name, None)
        self.model.base_model.__dict__.update(self._before)
        if self.prefill is not None:
            self.prefill.__exit__()

    def shorten(self, inputs: MutableMapping[str, Tensor]) -> dict[str, Tensor]:
        """Inputs made by the stock processor, with `budget.total` placeholders for each image.

        Texts come back padded on the left, so outputs must be cut at the new length. Raises
        ValueError if the placeholders are not those of whole images.
        """
        config = self.model.config
        tower = self.model.base_model.vision_tower
        return shorten(
            inputs,
            image_token_id=config.image_token_id,
            pad_token_id=config.get_text_config().pad_token_id or 0,
            old=stock_count(tower, config.vision_feature_select_strategy),
            new=self.budget.total,
        )

    @contextmanager
    def record(self) -> Iterator[list[ZippedTokens]]:
        """Collect the ZippedTokens of every image batch that this thread encodes meanwhile.

        Indices count the CLS token where `budget.cls`, else they start at the first patch. While
        recording, tokens are checked for NaN on every device, which makes the host wait. Not seen
        by a compiled model.
        """
        seen: list[ZippedTokens] = []
        token = _listeners.set((*_listeners.get(), (self.model.base_model, seen)))
        try:
            yield seen
        finally:
            _listeners.reset(token)


def zip_model(
    model: Any,
    processor: Any = None,
    budget: Budget | None = None,
    *,
    retain: int | None = None,
    merge: MergeRule = "code",
    compile: bool = False,
) -> ZippedModel:
    """Apply VisionZip (Section 3 of the paper) to one LLaVA instance until `undo`.

    model: a stock LlavaForConditionalGeneration whose tower `encode` supports. Zipping a zipped
        model replaces its budget; nested `with` blocks restore the outer one.
    processor: its stock processor, which stays as it is; the copy returned asks for fewer tokens.
    budget: what to keep; with `cls=False` on an encoder with CLS, the CLS token still rates the
        patches but is not kept, as `Budget.all(576)` does to keep LLaVA's own 576 tokens.
    retain: tokens per image instead of a budget, split 54:10; CLS is kept if the encoder has one.
    merge: "code" as released, or "paper".
    compile: also compile the prefill, see `vzlib.models.compiled_prefill.compiled_prefill`.

    Raises ValueError for a model, tower, feature layer, processor or merge rule that is not
    supported, and BudgetError (a ValueError) for a budget this encoder cannot pay.
    """
    core = core_of(model)
    tower = core.vision_tower
    check_layer(tower, model.config.vision_feature_layer)
    if merge not in get_args(MergeRule):
        raise ValueError(f"merge={merge!r} must be one of {get_args(MergeRule)}")
    budget = budget_for(tower, budget, retain)
    zipped_processor = None if processor is None else zip_processor(processor, budget.total)

    before = {name: core.__dict__[name] for name in OVERRIDDEN if name in core.__dict__}
    core.get_image_features = types.MethodType(_image_features(core, budget, merge), core)
    core.get_placeholder_mask = types.MethodType(_placeholder_mask(core, budget), core)
    prefill = compiled_prefill(model) if compile else None
    return ZippedModel(model, zipped_processor, budget, merge, prefill, before)


def unzip_model(model: Any) -> Any:
    """Give back the stock model, its stock prefill too. Also undoes deep copies of a zipped one.

    Returns the model.
    """
    for name in OVERRIDDEN:
        model.base_model.__dict__.pop(name, None)
    undo_compiled_prefill(model)
    return model


def _image_features(core: Any, budget: Budget, merge: MergeRule) -> Any:
    stock = type(core).get_image_features

    @functools.wraps(stock)  # generate() chooses the arguments it passes by this signature
    def get_image_features(
        self: Any,
        pixel_values: Tensor,
        vision_feature_layer: int | None = None,
        **_: Any,
    ) -> BaseModelOutputWithPooling:
        if vision_feature_layer is None:
            vision_feature_layer = self.config.vision_feature_layer
        layer = check_layer(self.vision_tower, vision_feature_layer)
        evidence = encode(self.vision_tower, pixel_values, layer=layer)
        if has_cls(self.vision_tower) and not budget.cls:
            evidence = type(evidence)(*(part[:, 1:] for part in evidence))
        zipped = select_and_merge(*evidence, budget, merge)
        if not torch.compiler.is_compiling():
            _tell(self, zipped, evidence.scores)
        # One entry per image, as stock LLaVA returns them; transformers declares a tensor.
        features: Any = list(self.multi_modal_projector(zipped.tokens))
        return BaseModelOutputWithPooling(
            last_hidden_state=zipped.tokens,
            pooler_output=features,
        )

    return get_image_features


def _tell(core: nn.Module, zipped: ZippedTokens, scores: Tensor) -> None:
    """Check the tokens where that costs no wait or someone listens; then tell who listens."""
    lists = [seen for listener, seen in _listeners.get() if listener is core]
    if lists or zipped.tokens.device.type == "cpu":
        check_finite(scores=scores, tokens=zipped.tokens)
    for seen in lists:
        seen.append(zipped)


def _placeholder_mask(core: Any, budget: Budget) -> Any:
    stock = type(core).get_placeholder_mask

    @functools.wraps(stock)
    def get_placeholder_mask(
        self: Any, input_ids: Tensor | None, inputs_embeds: Tensor, image_features: Tensor
    ) -> Tensor:
        try:
            return stock(self, input_ids, inputs_embeds, image_features)
        except ValueError as error:  # its message counts numbers instead of tokens
            if input_ids is None:
                raise
            placeholders = int((input_ids == self.config.image_token_id).sum())
            raise ValueError(
                f"{placeholders} image placeholders in the text, but {image_features.shape[0]} "
                f"visual tokens ({budget.total} for each of "
                f"{image_features.shape[0] // budget.total} images); make the text with the zipped "
                "processor, or pass it through shorten"
            ) from error

    return get_placeholder_mask
